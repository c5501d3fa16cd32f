"""Refusals say whether coming back helps."""

from __future__ import annotations

import numpy as np
import pytest

from app.scheduler.admission import RETRY_AFTER_LEAST, Load, admit, check_lengths, enqueue
from app.scheduler.engine import RequestContext
from app.scheduler.errors import BadItem, DeadlineExceeded, QueueFull
from app.scheduler.queue import BatchQueue, Lane
from app.text.sequence import TokenSequence
from tests.app.scheduler.simulation import EchoSession


@pytest.fixture
def lane() -> Lane:
    """Computes 100 tokens a second."""
    return Lane("m", "model", EchoSession(max_tokens=64), batch_tokens=128, seconds_per_token=0.01)


def load(pending: int = 0, engaged: float = 0.0) -> Load:
    return Load(now=0.0, turn=0.0, limit=1000, pending_tokens=pending, engaged_seconds=engaged)


def row(length: int) -> TokenSequence:
    return TokenSequence(np.arange(length))


@pytest.mark.parametrize("length", [0, 65])
def test_rows_that_can_never_run_are_told_the_limit(lane: Lane, length: int) -> None:
    with pytest.raises(BadItem, match="1 to 64"):
        check_lengths(lane, [row(3), row(length)])


def test_what_runs_is_waited_for(lane: Lane) -> None:
    assert admit(load(engaged=2.5), BatchQueue(), lane, 10, deadline=2.7) == 2.5
    with pytest.raises(QueueFull) as caught:
        admit(load(engaged=2.5), BatchQueue(), lane, 10, deadline=2.5)
    assert caught.value.retry_after_s == 2.5


def test_a_full_queue_says_when_to_come_back(lane: Lane) -> None:
    with pytest.raises(QueueFull) as caught:
        admit(load(pending=995), BatchQueue(), lane, 10, deadline=None)
    assert caught.value.retry_after_s == RETRY_AFTER_LEAST
    assert admit(load(pending=0), BatchQueue(), lane, 5000, deadline=None) == 0, "alone it passes"


def test_what_no_idle_engine_could_do_in_time_need_not_come_back(lane: Lane) -> None:
    with pytest.raises(DeadlineExceeded, match="ask for less") as caught:
        admit(load(), BatchQueue(), lane, 200, deadline=1.9)
    assert caught.value.retry_after_s is None


def test_each_row_has_its_turn_after_those_before_it(lane: Lane) -> None:
    call = enqueue(lane, [row(10), row(20), row(30)], RequestContext(), load(), wait=3.0, age_limit=2.0)
    assert [entry.turn for entry in call.entries] == pytest.approx([0.0, 0.1, 0.3])
    assert [entry.due for entry in call.entries] == pytest.approx([6.0, 6.2, 6.6])
    assert call.remaining == len(call.results) == 3
