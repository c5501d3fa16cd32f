"""The products written out are the fused kernel's, forwards and backwards."""

import pytest
import torch
from torch.nn import functional as F

from training.electra.attention import attend, document_mask


@pytest.mark.parametrize("masked", ["no", "boolean", "added"])
def test_equals_the_fused_kernel(masked: str) -> None:
    torch.manual_seed(0)
    ours = [torch.randn(2, 3, 17, 8, requires_grad=True) for _ in range(3)]
    theirs = [tensor.detach().clone().requires_grad_() for tensor in ours]
    segments = torch.randint(0, 3, (2, 17)).sort(-1).values
    same = segments[:, None, :, None] == segments[:, None, None, :]
    mask = {"no": None, "boolean": same, "added": document_mask(segments)}[masked]
    weight = torch.randn(2, 3, 17, 8)
    one = attend(*ours, mask, 0.0, True)
    other = F.scaled_dot_product_attention(*theirs, attn_mask=None if mask is None else same)
    assert torch.allclose(one, other, atol=1e-6)
    (one * weight).sum().backward()
    (other * weight).sum().backward()
    for mine, its in zip(ours, theirs, strict=True):
        assert mine.grad is not None
        assert its.grad is not None
        assert torch.allclose(mine.grad, its.grad, atol=1e-5)


def test_dropped_weights_average_to_the_whole() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, 9, 4) for _ in range(3))
    whole = attend(query, key, value, None, 0.3, False)
    mean = sum(attend(query, key, value, None, 0.3, True) for _ in range(3000)) / 3000
    assert torch.allclose(mean, whole, atol=0.08)
    assert not torch.allclose(attend(query, key, value, None, 0.3, True), whole, atol=1e-3)


def test_both_forms_of_a_mask_give_the_same_outside_training() -> None:
    query, key, value = (torch.randn(2, 3, 6, 8) for _ in range(3))
    segments = torch.tensor([[1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 2, 2]])
    same = segments[:, None, :, None] == segments[:, None, None, :]
    one = attend(query, key, value, same, 0.1, False)
    assert torch.allclose(one, attend(query, key, value, document_mask(segments), 0.1, False), atol=1e-6)
