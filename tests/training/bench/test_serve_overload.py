"""Goodput, refusals and promises, on a queue whose truth is known."""

from __future__ import annotations

import math

import pytest

from tests.training.bench.serve_samples import sample
from training.bench.serve.load import Sample
from training.bench.serve.overload import retry_ratios, summarise_overload


def queue(promise: float) -> list[Sample]:
    """Ten requests a second come and wait two seconds; twenty more are told ``promise`` seconds."""
    samples = []
    for tick in range(400):
        at = tick / 10
        samples.append(sample(at, at + 2.0))
        samples += [sample(at, at + 0.001, status=429, retry_after=str(promise)) for _ in range(2)]
    return sorted(samples, key=lambda each: each.finished)


def test_a_true_promise_has_ratio_one() -> None:
    samples = queue(2)
    accepted = [each for each in samples if each.answer.status == 200]
    refused = [each for each in samples if each.answer.status == 429 and 5 < each.started < 30]
    assert retry_ratios(accepted, refused) == pytest.approx([1.0] * len(refused), abs=0.1)


@pytest.mark.parametrize(("promise", "right"), [(1.5, 1.0), (3, 1.0), (5, 0.0), (0.5, 0.0)])
def test_a_promise_is_right_within_a_factor_of_two(promise: float, right: float) -> None:
    found = summarise_overload(queue(promise), [1.0], 10.0, 3.0, [100.0] * 40)
    assert found.retry_right == right
    assert found.goodput == pytest.approx(10, rel=0.05)
    assert found.offered == pytest.approx(30, rel=0.05)
    assert found.refused == pytest.approx(2 / 3, abs=0.02)
    assert found.p99 == pytest.approx(2.0)
    assert (found.other, found.growth) == (0, 0.0)


def test_late_answers_and_broken_ones_are_no_goodput() -> None:
    samples = [sample(tick / 10, tick / 10 + 2.0, status=200 if tick % 2 else 0) for tick in range(400)]
    found = summarise_overload(samples, [1.0], 10.0, 1.0, [100.0] * 20 + [120.0] * 20)
    assert found.goodput == 0.0
    assert found.other == 200
    assert found.growth == pytest.approx(0.2)
    assert math.isnan(found.retry_right)
