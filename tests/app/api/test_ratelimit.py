"""Token buckets against the definition: never more than burst + rate * time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.ratelimit import RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    limiter = RateLimiter(60, 3, clock)
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 0]
    assert limiter.take("a") == 1.0
    assert limiter.take("b") == 0, "callers do not share a bucket"
    clock.now = 0.5
    assert limiter.take("a") == 0.5
    clock.now = 1.0
    assert limiter.take("a") == 0


def test_what_a_caller_did_not_use_is_not_saved_beyond_the_burst() -> None:
    clock = Clock()
    limiter = RateLimiter(60, 3, clock)
    limiter.take("a")
    clock.now = 3600.0
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 1.0]


def test_those_seen_longest_ago_are_forgotten_and_not_those_who_came_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.api.ratelimit._MOST_CALLERS", 3)
    limiter = RateLimiter(60, 1, Clock())
    for caller in ("busy", "b", "c", "busy", "d"):
        limiter.take(caller)
    assert limiter.take("busy") > 0, "a flood of addresses does not fill its bucket"
    assert limiter.take("b") == 0


@given(
    st.floats(1, 600),
    st.integers(1, 20),
    st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=200),
)
def test_no_caller_gets_more_than_its_due(per_minute: float, burst: int, pauses: list[float]) -> None:
    clock = Clock()
    limiter = RateLimiter(per_minute, burst, clock)
    granted = 0
    for pause in pauses:
        clock.now += pause
        wait = limiter.take("a")
        granted += wait == 0
        assert granted <= burst + clock.now * per_minute / 60 + 1e-6
        if wait:
            # The announced time is right: a moment before it there is still nothing.
            assert 0 < wait <= 60 / per_minute + 1e-9


def test_memory_is_bounded() -> None:
    limiter = RateLimiter(60, 1, Clock())
    for number in range(100_500):
        limiter.take(str(number))
    assert len(limiter._buckets) == 100_000
    assert limiter.take("0") == 0, "the oldest were forgotten"
    assert limiter.take("100499") > 0
