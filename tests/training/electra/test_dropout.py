"""The right share falls, the mean stays, no two calls are alike, and the state of torch decides all of it."""

import pytest
import torch

from training.electra.dropout import dropout


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.0042])
def test_share_and_mean_over_many_calls(probability: float) -> None:
    torch.manual_seed(0)
    kept, mean = 0.0, 0.0
    calls = 400
    for _ in range(calls):
        dropped = dropout(torch.ones(4000), probability, True)
        kept += float((dropped != 0).float().mean()) / calls
        mean += float(dropped.mean()) / calls
    # Five standard errors of 1.6 million draws, and of the rates of 400 calls.
    tolerance = 5 * ((probability / (calls * 4000)) ** 0.5 + 0.5 / 256 / calls**0.5)
    assert kept == pytest.approx(1 - probability, abs=tolerance)
    assert mean == pytest.approx(1, abs=tolerance)


def test_bfloat16_drops_as_many_and_its_gradient_is_the_factor() -> None:
    torch.manual_seed(0)
    values = torch.full((1000, 1001), 2.0, dtype=torch.bfloat16, requires_grad=True)
    dropped = dropout(values, 0.1, True)
    assert dropped.dtype == torch.bfloat16
    assert dropped.shape == values.shape
    kept = dropped != 0
    # One call has one of the two multiples of 1/256 around the probability.
    assert float(kept.float().mean()) == pytest.approx(0.9, abs=1 / 256 + 0.002)
    assert len(dropped[kept].unique()) == 1
    # The scale has eight bits.
    assert float(dropped.detach().float().mean()) == pytest.approx(2.0, abs=2 * 2**-8 + 0.005)
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad * 2, dropped.detach())


def test_calls_differ_and_the_seed_brings_them_back() -> None:
    values = torch.ones(64, 64)
    torch.manual_seed(3)
    one, two = dropout(values, 0.5, True), dropout(values, 0.5, True)
    torch.manual_seed(3)
    again = dropout(values, 0.5, True)
    assert torch.equal(one, again)
    assert 0.4 < float((one == two).float().mean()) < 0.6


def test_gradient_passes_where_the_value_did() -> None:
    values = torch.randn(1000, requires_grad=True)
    dropped = dropout(values, 0.3, True)
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.allclose(values.grad * values.detach(), dropped.detach())


def test_nothing_happens_when_asked_for_nothing() -> None:
    values = torch.randn(5)
    assert dropout(values, 0.5, False) is values
    assert dropout(values, 0.0, True) is values


def test_compiled_calls_are_as_independent_and_their_gradients_right() -> None:
    @torch.compile(backend="aot_eager")
    def twice(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return dropout(values, 0.5, True), dropout(values * 2, 0.5, True)

    values = torch.ones(2000, requires_grad=True)
    one, two = twice(values)
    (one + two).sum().backward()
    assert 0.4 < float(((one > 0) == (two > 0)).float().mean()) < 0.6
    assert values.grad is not None
    assert torch.allclose(values.grad, (one + two).detach())  # the backward pass saw the same draws
