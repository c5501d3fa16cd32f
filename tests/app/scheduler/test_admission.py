"""Refusals say whether coming back helps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.scheduler.admission import RETRY_AFTER_LEAST, Load, admit, check_lengths, enqueue
from app.scheduler.engine import RequestContext
from app.scheduler.errors import BadItem, DeadlineExceeded, QueueFull
from app.scheduler.lane import Lane
from app.scheduler.queue import BatchQueue
from app.text.sequence import TokenSequence
from tests.app.scheduler.simulation import EchoSession


@pytest.fixture
def lane() -> Lane:
    """Computes 100 tokens a second."""
    return Lane("m", "model", EchoSession(max_tokens=64), batch_tokens=128, seconds_per_token=0.01)


def load(pending: int = 0, engaged: float = 0.0) -> Load:
    return Load(0.0, 0.0, limit=1000, pending_tokens=pending or int(engaged * 100), engaged_seconds=engaged)


def row(length: int) -> TokenSequence:
    return TokenSequence(np.arange(length))


@pytest.mark.parametrize("length", [0, 65])
def test_rows_that_can_never_run_are_told_the_limit(lane: Lane, length: int) -> None:
    with pytest.raises(BadItem, match="1 to 64"):
        check_lengths(lane, [row(3), row(length)])


def test_rows_of_the_least_and_the_greatest_length_pass(lane: Lane) -> None:
    check_lengths(lane, [row(1), row(64)])


def within(seconds: float | None, *, turn: float | None = None) -> RequestContext:
    return RequestContext(deadline=seconds, turn=turn)


def test_what_runs_is_waited_for(lane: Lane) -> None:
    assert admit(load(engaged=2.5), BatchQueue(), lane, [10], within(5.0)) == 2.5
    with pytest.raises(QueueFull) as caught:
        admit(load(engaged=2.5), BatchQueue(), lane, [10], within(2.5))
    assert caught.value.retry_after_s == 2.5


def test_a_newcomer_leaves_half_of_its_time_for_what_nobody_can_predict(lane: Lane) -> None:
    assert admit(load(engaged=2.4), BatchQueue(), lane, [10], within(5.0)) == 2.4
    with pytest.raises(QueueFull):
        admit(load(engaged=2.6), BatchQueue(), lane, [10], within(5.0))
    # Its next stage is refused only where it must come too late: what was done for it would be lost.
    assert admit(load(engaged=2.6), BatchQueue(), lane, [10], within(5.0, turn=0.0)) == 2.6
    with pytest.raises(QueueFull):
        admit(load(engaged=4.95), BatchQueue(), lane, [10], within(5.0, turn=0.0))


def test_a_full_queue_says_when_to_come_back(lane: Lane) -> None:
    with pytest.raises(QueueFull) as caught:
        admit(load(pending=995), BatchQueue(), lane, [10], within(None))
    assert caught.value.retry_after_s == RETRY_AFTER_LEAST
    assert admit(load(pending=0), BatchQueue(), lane, [5000], within(None)) == 0, "alone it passes"
    assert admit(load(pending=995), BatchQueue(), lane, [10], within(None, turn=0.0)) == 0, "it is in already"


def test_what_no_idle_engine_could_do_in_time_need_not_come_back(lane: Lane) -> None:
    with pytest.raises(DeadlineExceeded, match="ask for less") as caught:
        admit(load(pending=1), BatchQueue(), lane, [200], within(1.9))
    assert caught.value.retry_after_s is None


def test_an_idle_engine_refuses_nobody_by_what_it_believes_of_its_speed(lane: Lane) -> None:
    assert admit(load(), BatchQueue(), lane, [200], within(1.9)) == 0
    assert admit(load(), BatchQueue(), lane, [200], within(1.9, turn=0.0)) == 0


def test_each_row_has_its_turn_after_those_before_it(lane: Lane) -> None:
    context = RequestContext()
    call = enqueue(lane, [row(10), row(20), row(30)], context, load(), wait=3.0, age_limit=2.0)
    assert [entry.turn for entry in call.entries] == pytest.approx([0.0, 0.1, 0.3])
    assert [entry.due for entry in call.entries] == pytest.approx([6.0, 6.2, 6.6])
    assert call.remaining == len(call.results) == 3
    assert context.turn == pytest.approx(0.6)


def test_the_next_stage_keeps_its_place(lane: Lane) -> None:
    context = RequestContext()
    enqueue(lane, [row(10)], context, load(), wait=0.0, age_limit=2.0)
    later = replace(load(), now=5.0, turn=4.0)
    call = enqueue(lane, [row(10), row(10)], context, later, wait=0.0, age_limit=2.0)
    assert [entry.turn for entry in call.entries] == pytest.approx([0.1, 0.2])
    # Of a long document on an idle engine the earlier rows were done before their turn.
    context.turn = 60.0
    assert enqueue(lane, [row(10)], context, later, wait=0.0, age_limit=2.0).entries[0].turn == 4.0


def test_no_row_is_passed_over_until_its_deadline(lane: Lane) -> None:
    call = enqueue(lane, [row(10)], within(8.0), load(), wait=4.0, age_limit=2.0)
    assert call.entries[0].due == pytest.approx(6.0)
