"""The clock of turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduler.fair_clock import FairClock


def test_a_lone_request_sees_real_time_and_four_share_it() -> None:
    clock = FairClock(100.0)
    assert clock.read(101.0, 1) == pytest.approx(1.0)
    assert clock.read(105.0, 4) == pytest.approx(2.0)
    assert clock.read(106.0, 0) == pytest.approx(3.0)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 1000))))
def test_it_never_runs_backwards(readings: list[tuple[float, int]]) -> None:
    clock = FairClock(0.0)
    times = [clock.read(now, requests) for now, requests in readings]
    assert times == sorted(times)
