"""Taken in pieces, loss and gradient are those of torch's cross-entropy over the whole."""

import pytest
import torch
from torch.nn import functional as F

from training.electra import pieces
from training.electra.cross_entropy import cross_entropy, cross_entropy_and_draw
from training.electra.sampling import sample_tokens


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cached", [1, 300, 10**9])
def test_equals_torch(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, cached: int) -> None:
    monkeypatch.setattr(pieces, "CACHED", cached)
    torch.manual_seed(0)
    ours = (torch.randn(37, 90) * 5).to(dtype).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    target, weights = torch.randint(0, 90, (37,)), torch.rand(37)
    one = cross_entropy(ours, target)
    other = F.cross_entropy(theirs.float(), target, reduction="none")
    assert one.dtype == torch.float32
    assert torch.allclose(one, other, atol=1e-5)
    (one * weights).sum().backward()
    (other * weights).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert ours.grad.dtype == dtype
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


def test_gradient_agrees_with_differences() -> None:
    logits = torch.randn(3, 7, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 3, 6])
    # The softmax is taken in float32, so the step must be coarse.
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, target), logits, eps=1e-2, atol=1e-3)


def test_the_input_is_left_as_it_was() -> None:
    logits = torch.randn(5, 11, requires_grad=True)
    before = logits.detach().clone()
    cross_entropy(logits, torch.arange(5)).sum().backward()
    assert torch.equal(logits, before)


def test_no_position_at_all() -> None:
    logits = torch.randn(0, 11, requires_grad=True)
    loss = cross_entropy(logits, torch.zeros(0, dtype=torch.int64)).sum()
    loss.backward()
    assert float(loss.detach()) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_pass_draws_as_the_sampler_does(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    monkeypatch.setattr(pieces, "CACHED", 3000)
    torch.manual_seed(1)
    logits = (torch.randn(200, 700) * 3).to(dtype).requires_grad_()
    target, uniforms = torch.randint(0, 700, (200,)), torch.rand(200)
    losses, drawn = cross_entropy_and_draw(logits, target, uniforms)
    assert torch.allclose(losses, cross_entropy(logits, target), atol=1e-5)
    assert torch.equal(drawn, sample_tokens(logits, uniforms))
    assert not drawn.requires_grad
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    (expected,) = torch.autograd.grad(cross_entropy(logits, target).sum(), logits)
    assert torch.allclose(gradient, expected, atol=1e-5)
