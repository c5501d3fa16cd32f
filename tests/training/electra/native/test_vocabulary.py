"""The generator's loss by the kernels, as a part of torch's graph."""

import pytest
import torch

from tests.training.electra.native.available import needs_kernels
from training.electra.cross_entropy import cross_entropy_and_draw
from training.electra.native import vocabulary

pytestmark = needs_kernels


def test_losses_draws_and_gradients_are_those_of_torch() -> None:
    torch.manual_seed(2)
    hidden, table, bias = torch.randn(50, 64), torch.randn(700, 64) / 4, torch.randn(700)
    hidden, table = hidden.bfloat16().float(), table.bfloat16().float()
    target, uniforms, upstream = torch.randint(700, (50,)), torch.rand(50), torch.rand(50)
    one = [tensor.clone().requires_grad_() for tensor in (hidden, table, bias)]
    losses, drawn = vocabulary.cross_entropy_and_draw(*one, target, uniforms)
    losses.backward(upstream)
    other = [tensor.clone().requires_grad_() for tensor in (hidden, table, bias)]
    theirs, theirs_drawn = cross_entropy_and_draw(other[0] @ other[1].T + other[2], target, uniforms)
    theirs.backward(upstream)
    torch.testing.assert_close(losses, theirs, rtol=1e-4, atol=1e-4)
    assert int((drawn != theirs_drawn).sum()) <= 1, "but for a number at the edge of two words"
    assert not drawn.requires_grad
    for ours, wanted in zip(one, other, strict=True):
        assert ours.grad is not None
        assert wanted.grad is not None
        assert (ours.grad - wanted.grad).norm() < 0.01 * wanted.grad.norm()


@pytest.mark.parametrize(
    ("size", "enabled", "fit"), [(64, True, True), (64, False, False), (40, True, False)]
)
def test_where_it_fits(size: int, enabled: bool, fit: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        assert vocabulary.fits(torch.zeros(10, size)) is fit


def test_strided_inputs_and_gradients() -> None:
    torch.manual_seed(3)
    hidden, table, bias = torch.randn(64, 50).bfloat16().T, torch.randn(700, 64), torch.randn(700)
    target, uniforms = torch.randint(700, (50, 2))[:, 0], torch.rand(50, 2)[:, 0]
    found = []
    for straight in (lambda tensor: tensor, torch.Tensor.contiguous):
        inputs = straight(hidden).detach().requires_grad_()
        losses, drawn = vocabulary.cross_entropy_and_draw(
            inputs, table, bias, straight(target), straight(uniforms)
        )
        losses.sum().backward()
        found.append((losses, drawn, inputs.grad))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
