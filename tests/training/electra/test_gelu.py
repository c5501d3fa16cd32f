"""Hidden from the compiler or not, it is torch's GELU and its derivative."""

import pytest
import torch
from torch.nn import functional as F

from training.electra.gelu import gelu


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_equals_torch(dtype: torch.dtype) -> None:
    compiled = torch.compile(gelu, backend="aot_eager")
    ours = torch.linspace(-9, 9, 4001, dtype=dtype, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    one, other = compiled(ours), F.gelu(theirs)
    assert torch.equal(one, other)
    (one * one).sum().backward()
    (other * other).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_registered_as_torch_wants_it() -> None:
    values = torch.randn(4, 5, requires_grad=True)
    torch.library.opcheck(torch.ops.electra.gelu.default, (values,))
