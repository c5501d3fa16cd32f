"""Whose turn it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduler.admission import Load, enqueue
from app.scheduler.engine import RequestContext
from app.scheduler.queue import BatchQueue
from app.text.sequence import TokenSequence
from tests.app.scheduler.simulation import entry, lengths, row, some_lane, within_budget

AT_ZERO = Load(now=0.0, turn=0.0, limit=9999, pending_tokens=0, engaged_seconds=0.0)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 300), st.floats(0, 10)), max_size=60), st.integers(64, 1024))
def test_every_row_is_taken_once_in_batches_that_hold_the_earliest_turn(
    rows: list[tuple[int, float]], budget: int
) -> None:
    queue, room = BatchQueue(), some_lane(budget=budget)
    waiting = {entry(room, tokens, turn, due=turn + 5) for tokens, turn in rows}
    queue.add(waiting)
    while (batch := queue.take(now=9.0)) is not None:
        assert within_budget(batch)
        assert min(one.turn for one in batch.entries) == min(one.turn for one in waiting)
        assert set(batch.entries) <= waiting
        waiting -= set(batch.entries)
        assert queue.rows == len(waiting)
        assert queue.tokens == sum(one.tokens for one in waiting) == room.waiting_tokens
    assert not waiting


def test_overdue_rows_go_whatever_the_padding() -> None:
    queue, room = BatchQueue(), some_lane(budget=1000)
    overdue = [entry(room, tokens, turn, due=5.0) for turn, tokens in enumerate((300, 10, 250))]
    queue.add([*overdue, *(entry(room, 299, 3.0) for _ in range(5))])
    batch = queue.take(now=6.0)
    assert batch is not None
    assert set(overdue) <= set(batch.entries)


def test_overdue_rows_take_along_what_needs_no_wider_batch() -> None:
    queue, room = BatchQueue(), some_lane(budget=1000)
    queue.add([entry(room, 300, due=5.0), *(entry(room, tokens, 1.0) for tokens in (301, 290, 300))])
    batch = queue.take(now=6.0)
    assert batch is not None
    assert lengths(batch.entries) == [290, 300, 300]


def test_nobody_waits_for_rows_that_were_discarded() -> None:
    queue, room = BatchQueue(), some_lane()
    rows = [entry(room, 100, turn) for turn in range(3)]
    queue.add(rows)
    queue.discard(rows[1].call)
    assert queue.seconds() == pytest.approx(200e-4)
    assert queue.seconds_before(2.0) == pytest.approx(200e-4)
    assert queue.seconds_before(1.0) == pytest.approx(100e-4)


def test_overdue_requests_are_finished_one_after_the_other() -> None:
    queue, room = BatchQueue(), some_lane(budget=200)
    calls = []
    for arrival in (0.0, 0.1, 0.2):
        load = Load(now=arrival, turn=arrival, limit=9999, pending_tokens=0, engaged_seconds=0.0)
        calls.append(enqueue(room, [row(100)] * 4, RequestContext(deadline=10.0), load, 0.0, 0.1))
        queue.add(calls[-1].entries)
    order = []
    while (batch := queue.take(now=9.0)) is not None:
        order += [calls.index(one.call) for one in batch.entries]
    assert order == sorted(order)


def test_an_overdue_request_of_one_model_does_not_hold_up_another_model() -> None:
    queue, busy, other = BatchQueue(), some_lane(budget=200), some_lane(budget=200)
    calls = []
    for room, rows, arrival in ((busy, 40, 0.0), (busy, 1, 0.05), (other, 1, 0.065)):
        load = Load(now=arrival, turn=arrival, limit=9999, pending_tokens=0, engaged_seconds=0.0)
        calls.append(enqueue(room, [row(100)] * rows, RequestContext(deadline=10.0), load, 0.0, 0.1))
        queue.add(calls[-1].entries)
    order = []
    while (batch := queue.take(now=9.0)) is not None:
        order.append(batch.lane)
    # By turn: seven of the forty rows, 0.01 s each, come before the other model's.
    assert order.index(other) == 4
    assert len(order) == 22


def test_the_lane_of_the_earliest_turn_is_served_first() -> None:
    queue, first, second = BatchQueue(), some_lane(), some_lane()
    queue.add([entry(second, 10, turn=2.0), entry(first, 10, turn=1.0), entry(first, 10, turn=3.0)])
    order = []
    while (batch := queue.take(0.0)) is not None:
        order.append(batch.lane)
    assert order == [first, second]


def test_a_discarded_call_leaves_nothing_behind() -> None:
    queue, room = BatchQueue(), some_lane()
    call = enqueue(room, [row(10), row(20)], RequestContext(), AT_ZERO, 0.0, 1.0)
    queue.add(call.entries)
    queue.add([entry(room, 7, turn=1.0)])
    queue.discard(call)
    queue.discard(call)
    assert (queue.rows, queue.tokens, room.waiting_rows, room.waiting_tokens) == (1, 7, 1, 7)
    batch = queue.take(0.0)
    assert batch is not None
    assert lengths(batch.entries) == [7]
    assert queue.take(0.0) is None
    assert room.waiting == []


def test_the_turns_of_a_document_are_spread_over_the_time_it_takes() -> None:
    room = some_lane()
    call = enqueue(
        room, [row(100), row(200), row(50)], RequestContext(), Load(5.0, 7.0, 9999, 0, 0.0), 3.0, 1.0
    )
    assert np.allclose([one.turn for one in call.entries], [7.0, 7.01, 7.03])
    assert np.allclose([one.due for one in call.entries], [11.0, 11.02, 11.06])


def test_vocabulary_rows_are_bounded_too() -> None:
    queue, room = BatchQueue(), some_lane(positions=10)
    rows = [TokenSequence(np.ones(20, np.int64), None, np.arange(4)) for _ in range(5)]
    call = enqueue(room, rows, RequestContext(), AT_ZERO, 0.0, 1.0)
    queue.add(call.entries)
    taken = []
    while (batch := queue.take(0.0)) is not None:
        taken.append(len(batch.entries))
    assert taken == [2, 2, 1]
