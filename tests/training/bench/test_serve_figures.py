"""Rates, percentiles and metrics are what they say, whatever the batches."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.bench.serve_samples import sample
from training.bench.serve.figures import median, parse_metrics, percentile, rate
from training.bench.serve.load import Sample


def lockstep(batch: int, period: float, seconds: float) -> list[Sample]:
    """``batch`` clients of a server that answers all of them every ``period`` seconds."""
    samples = []
    moment = 0.0
    while moment < seconds:
        samples += [sample(moment, moment + period) for _ in range(batch)]
        moment += period
    return samples


@given(
    batch=st.integers(1, 32),
    period=st.floats(0.05, 2.0),
    warm_up=st.floats(0.0, 2.0),
    seconds=st.floats(8.0, 12.0),
)
def test_batches_do_not_distort_the_rate(batch: int, period: float, warm_up: float, seconds: float) -> None:
    """However the window falls on the batches, the rate is theirs. Fixed windows err by a batch: 30 %."""
    assert rate(lockstep(batch, period, seconds), [1.0], warm_up) == pytest.approx(batch / period, rel=1e-6)


def test_the_rate_counts_weights_and_only_answers() -> None:
    samples = [sample(0, 1), sample(1, 2, index=1), sample(2, 3, status=500, index=1), sample(3, 4, index=1)]
    samples.append(sample(4, 5))
    assert rate(samples, [1.0, 5.0], 1.0) == pytest.approx(10 / 3)
    assert rate([], [1.0], 1.0) == 0.0
    assert rate([sample(0, 1, status=500)], [1.0], 0.0) == 0.0


def test_a_server_that_is_slower_than_the_window_still_has_a_rate() -> None:
    assert rate([sample(0, 10), sample(0.5, 10)], [1.0], 1.0) == pytest.approx(0.2)


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_the_least_value_that_covers_the_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    smaller = [value for value in values if value < found]
    assert len(smaller) < share * len(values) + 1e-9


def test_what_is_not_there_is_not_a_number() -> None:
    assert math.isnan(percentile([], 0.5))
    assert math.isnan(median([math.nan]))
    assert median([1.0, math.nan, 3.0]) == 2.0


def test_metrics_are_summed_over_labels() -> None:
    text = '# TYPE a counter\na{route="/x y",status="200"} 2\na{route="/z"} 3.5\nb 1e-3\n\n'
    assert parse_metrics(text) == {"a": 5.5, "b": 0.001}
