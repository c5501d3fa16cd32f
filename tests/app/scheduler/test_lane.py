"""What a lane learns of its speed, and when a batch is full."""

from __future__ import annotations

import pytest

from app.scheduler.lane import MOST_OF_EXPECTED, Batch, Lane
from tests.app.scheduler.simulation import EchoSession, entry, some_lane


@pytest.mark.parametrize(("budget", "full"), [(149, True), (150, False)])
def test_a_batch_is_full_when_no_row_of_its_width_fits_any_more(budget: int, full: bool) -> None:
    room = some_lane(budget=budget)
    assert Batch(room, (entry(room, 50), entry(room, 20))).full is full


def test_speed_is_that_of_recent_batches() -> None:
    room = some_lane()
    for _ in range(50):
        room.measured(1000, 0.5)
    assert 4e-4 < room.seconds_per_token <= 5e-4


def test_tokens_are_estimated_from_characters_once_some_were_counted() -> None:
    lane = Lane("m", "model", EchoSession(max_tokens=100), 128, 0.01)
    assert lane.estimate(1000, 1) == 0
    for _ in range(60):
        lane.counted(30, 40)
    assert lane.estimate(80, 1) == pytest.approx(60, abs=1)
    assert lane.estimate(8000, 3) == 300, "a row for each text at most"
    for _ in range(60):
        lane.counted(10, 40)
    assert lane.estimate(80, 1) == pytest.approx(20, abs=1)


def test_one_batch_can_say_only_so_much_of_a_lanes_speed() -> None:
    room = some_lane()
    room.measured(1024, 60.0)
    assert room.seconds_per_token < MOST_OF_EXPECTED * 1e-4
    for _ in range(60):
        room.measured(1024, 60.0)
    assert room.seconds_per_token == pytest.approx(60.0 / 1024, rel=0.05), "what stays slow is believed"
