"""Measuring, with sessions that take a known time on a clock of their own."""

from __future__ import annotations

import numpy as np
import pytest

from app.runtime.calibrate import calibrate, race, sample_rows
from app.runtime.rows import GraphShape
from app.text.sequence import TokenSequence


class Timed:
    """A session that takes ``fixed + per_token * padded`` on a clock of its own."""

    backend = "onnxruntime"
    precision = "fp32"
    max_tokens = 512

    def __init__(self, shared: list[float], fixed: float, per_token: float, knee: int = 1 << 30) -> None:
        self.shared, self.fixed, self.per_token, self.knee = shared, fixed, per_token, knee

    def run(self, sequences: list[TokenSequence]) -> list[dict[str, np.ndarray]]:
        cells = len(sequences) * len(sequences[0])
        slow = 2 if cells > self.knee else 1
        self.shared[0] += self.fixed + self.per_token * cells * slow
        return [{} for _ in sequences]


SHAPE = GraphShape("sequence", ("input_ids",), ("logits",), 0, 1000, 512)


def test_the_budget_stops_where_larger_batches_gain_nothing() -> None:
    for fixed, knee, expected in ((0.004, 1024, 1024), (0.0, 1 << 30, 512), (0.02, 1 << 30, 2048)):
        now = [0.0]
        session = Timed(now, fixed, 7e-5, knee)
        found = calibrate(session, SHAPE, seconds=10, clock=lambda now=now: now[0])
        assert found.batch_tokens == expected
        assert found.overhead_tokens == pytest.approx(min(fixed / 7e-5, expected / 8), rel=0.15, abs=1)


def test_a_slow_machine_takes_the_default_budget_and_does_not_dawdle() -> None:
    now = [0.0]
    found = calibrate(Timed(now, 0.01, 1e-3), SHAPE, seconds=0.4, clock=lambda: now[0])
    assert found.batch_tokens == 1024
    assert now[0] < 1.5


def test_a_decided_budget_is_only_timed() -> None:
    now = [0.0]
    found = calibrate(Timed(now, 0.0, 1e-4), SHAPE, batch_tokens=3000, clock=lambda: now[0])
    assert found.batch_tokens == 3000
    assert found.seconds_per_token == pytest.approx(1e-4)


def test_a_disturbed_measurement_does_not_make_padding_free() -> None:
    now = [0.0]
    found = calibrate(Timed(now, 0.1, 1e-5), SHAPE, batch_tokens=1024, clock=lambda: now[0])
    assert found.overhead_tokens == 128, "an eighth of the budget, whatever was measured"


def test_batches_that_will_run_beside_each_other_are_measured_so() -> None:
    now = [0.0]
    found = calibrate(Timed(now, 0.0, 1e-4), SHAPE, seconds=10, parallel=2, clock=lambda: now[0])
    # This session gains nothing by company: both batches take their time, one after the other.
    assert found.seconds_per_token == pytest.approx(1e-4)
    assert found.batch_tokens == 512


def test_the_faster_backend_wins() -> None:
    now = [0.0]
    slow, fast = Timed(now, 0.01, 1e-4), Timed(now, 0.001, 1e-5)
    assert race([slow, fast], SHAPE, clock=lambda: now[0]) is fast
    assert race([fast, slow], SHAPE, clock=lambda: now[0]) is fast
    hardly = Timed(now, 0.01, 0.97e-4)
    assert race([slow, hardly], SHAPE, clock=lambda: now[0]) is slow
    assert race([slow], SHAPE) is slow


def test_sample_rows_reach_both_ends_of_the_vocabulary() -> None:
    ids = sample_rows(SHAPE, 1)[0].input_ids
    assert (ids.min(), ids.max(), len(ids)) == (0, 999, 64)
