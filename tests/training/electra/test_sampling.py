"""Drawn tokens follow the softmax, in float32, whatever type the logits have."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from training.electra.cross_entropy import cross_entropy_and_draw
from training.electra.pieces import BLOCK
from training.electra.sampling import draw, sample_tokens


def test_frequencies_are_the_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(40, generator=generator) * 2
    uniforms = torch.rand(40_000, generator=generator)
    drawn = sample_tokens(logits.expand(40_000, 40), uniforms)
    expected = logits.softmax(-1).numpy().astype(np.float64)
    observed = np.bincount(drawn.numpy(), minlength=40)
    assert chisquare(observed, expected / expected.sum() * 40_000).pvalue > 1e-4


def test_frequencies_over_several_blocks() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(1000, generator=generator)
    uniforms = torch.rand(100_000, generator=generator)
    drawn = sample_tokens(logits.expand(100_000, 1000), uniforms)
    expected = logits.double().softmax(-1).numpy()
    assert chisquare(np.bincount(drawn.numpy(), minlength=1000), expected * 100_000).pvalue > 1e-4


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1e-30, 0.1, 1.0]), min_size=1, max_size=3 * BLOCK).filter(any),
    st.floats(0, 1, exclude_max=True, width=32),
)
def test_what_is_drawn_has_a_weight_and_stands_where_the_sum_passes(values: list[float], at: float) -> None:
    weights = torch.zeros(1, -(-len(values) // BLOCK) * BLOCK)
    weights[0, : len(values)] = torch.tensor(values)
    drawn, totals = draw(weights, torch.tensor([at]))
    exact = weights[0].double().cumsum(0)
    assert weights[0, drawn] > 0
    assert abs(float(totals) - float(exact[-1])) <= 1e-5 * float(exact[-1])
    slack = 1e-5 * float(exact[-1])
    assert exact[drawn] >= at * exact[-1] - slack
    assert drawn == 0 or exact[drawn - 1] <= at * exact[-1] + slack


def test_temperature_and_forbidden_token() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0]]).expand(20_000, 3)
    uniforms = torch.rand(20_000, generator=torch.Generator().manual_seed(1))
    cold = sample_tokens(logits, uniforms, temperature=0.25)
    assert (cold == 2).float().mean() > 0.97
    forbidden = sample_tokens(logits, uniforms, forbid=torch.full((20_000,), 2))
    assert not (forbidden == 2).any()


def test_bfloat16_logits_are_sampled_in_float32() -> None:
    # 512 equal logits: in bfloat16 the cumulative sum could not even reach 1.
    logits = torch.zeros(8192, 512, dtype=torch.bfloat16)
    drawn = sample_tokens(logits, torch.rand(8192, generator=torch.Generator().manual_seed(2)))
    assert abs(drawn.float().mean().item() - 255.5) < 6
    assert drawn.max() > 500


def test_the_ends_of_the_unit_interval_stay_inside_the_vocabulary() -> None:
    drawn = sample_tokens(torch.randn(2, 7), torch.tensor([0.0, 0.99999994]))
    assert drawn.min() >= 0
    assert drawn.max() < 7


def test_no_gradient_flows_through_the_draw() -> None:
    logits = torch.randn(4, 9, requires_grad=True)
    assert not sample_tokens(logits, torch.rand(4)).requires_grad


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_not_finite_draw_some_word_and_no_position_draws_none(value: float) -> None:
    logits = torch.full((3, 300), value)
    for drawn in (
        sample_tokens(logits, torch.rand(3)),
        cross_entropy_and_draw(logits, torch.arange(3), torch.rand(3))[1],
    ):
        assert ((drawn >= 0) & (drawn < 300)).all()
    assert sample_tokens(logits[:0], torch.rand(0)).shape == (0,)
    losses, drawn = cross_entropy_and_draw(logits[:0], torch.arange(0), torch.rand(0))
    assert losses.shape == drawn.shape == (0,)
