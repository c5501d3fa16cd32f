"""Taken in pieces, loss and gradient are those of torch's cross-entropy over the whole."""

import pytest
import torch
from torch.nn import functional as F

from training.electra import cross_entropy as module
from training.electra.cross_entropy import cross_entropy, pieces


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cached", [1, 300, 10**9])
def test_equals_torch(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, cached: int) -> None:
    monkeypatch.setattr(module, "CACHED", cached)
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


def test_pieces_cover_every_position_once_and_a_vocabulary_may_be_larger_than_the_cache() -> None:
    for positions, vocabulary in ((1, 5), (100, 32_000), (7, module.CACHED * 2)):
        found = [i for p in pieces(torch.empty(positions, vocabulary)) for i in range(positions)[p]]
        assert found == list(range(positions))
