"""The batching policy by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduler.admission import Load, enqueue
from app.scheduler.engine import RequestContext
from app.scheduler.queue import MOST_OF_EXPECTED, Batch, BatchQueue, Call, Entry, Lane, around
from app.text.sequence import TokenSequence
from tests.app.scheduler.simulation import EchoSession, row, within_budget

AT_ZERO = Load(now=0.0, turn=0.0, limit=9999, pending_tokens=0, engaged_seconds=0.0)


def lane(budget: int = 1024, positions: int = 256) -> Lane:
    return Lane("toy", "model", EchoSession(), budget, 1e-4, batch_positions=positions)


def entry(lane: Lane, tokens: int, turn: float = 0.0, due: float = 1e9) -> Entry:
    call = Call(RequestContext())
    made = Entry(call, lane, 0, row(tokens), tokens, turn, turn, due)
    call.entries.append(made)
    return made


def lengths(entries: tuple[Entry, ...] | list[Entry]) -> list[int]:
    return sorted(one.tokens for one in entries)


def test_equal_rows_fill_the_budget() -> None:
    room = lane(budget=640)
    rows = [entry(room, 64, turn) for turn in range(20)]
    assert around(rows[0], rows, 640, 32.0) == rows[:10]


def test_neighbours_in_length_are_preferred_to_padding() -> None:
    room = lane(budget=1000)
    oldest = entry(room, 100)
    rows = [oldest, *(entry(room, tokens, 1.0) for tokens in (20, 95, 98, 101, 99, 400, 22))]
    assert lengths(around(oldest, rows, 1000, 32.0)) == [95, 98, 99, 100, 101]


def test_a_lonely_row_takes_company_rather_than_run_alone() -> None:
    room = lane(budget=1000)
    oldest = entry(room, 100)
    assert lengths(around(oldest, [oldest, entry(room, 80, 1.0)], 1000, 32.0)) == [80, 100]


def test_a_row_over_budget_runs_alone() -> None:
    room = lane(budget=100)
    oldest = entry(room, 300)
    assert around(oldest, [oldest, entry(room, 10), entry(room, 300)], 100, 32.0) == [oldest]


@settings(max_examples=300)
@given(st.lists(st.integers(1, 512), min_size=1, max_size=80), st.integers(16, 4096), st.data())
def test_a_choice_holds_the_oldest_is_a_run_of_lengths_and_fits(
    sizes: list[int], budget: int, data: st.DataObject
) -> None:
    room = lane(budget=budget)
    rows = [entry(room, size) for size in sizes]
    oldest = rows[data.draw(st.integers(0, len(rows) - 1))]
    chosen = around(oldest, rows, budget, 32.0)
    assert oldest in chosen
    assert len(chosen) == 1 or max(lengths(chosen)) * len(chosen) <= budget
    low, high = min(lengths(chosen)), max(lengths(chosen))
    assert all(one in chosen for one in rows if low < one.tokens < high)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 300), st.floats(0, 10)), max_size=60), st.integers(64, 1024))
def test_every_row_is_taken_once_in_batches_that_hold_the_earliest_turn(
    rows: list[tuple[int, float]], budget: int
) -> None:
    queue, room = BatchQueue(), lane(budget=budget)
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


@pytest.mark.parametrize(("budget", "full"), [(149, True), (150, False)])
def test_a_batch_is_full_when_no_row_of_its_width_fits_any_more(budget: int, full: bool) -> None:
    room = lane(budget=budget)
    assert Batch(room, (entry(room, 50), entry(room, 20))).full is full


def test_overdue_rows_go_whatever_the_padding() -> None:
    queue, room = BatchQueue(), lane(budget=1000)
    overdue = [entry(room, tokens, turn, due=5.0) for turn, tokens in enumerate((300, 10, 250))]
    queue.add([*overdue, *(entry(room, 299, 3.0) for _ in range(5))])
    batch = queue.take(now=6.0)
    assert batch is not None
    assert set(overdue) <= set(batch.entries)


def test_overdue_rows_take_along_what_needs_no_wider_batch() -> None:
    queue, room = BatchQueue(), lane(budget=1000)
    queue.add([entry(room, 300, due=5.0), *(entry(room, tokens, 1.0) for tokens in (301, 290, 300))])
    batch = queue.take(now=6.0)
    assert batch is not None
    assert lengths(batch.entries) == [290, 300, 300]


def test_nobody_waits_for_rows_that_were_discarded() -> None:
    queue, room = BatchQueue(), lane()
    rows = [entry(room, 100, turn) for turn in range(3)]
    queue.add(rows)
    queue.discard(rows[1].call)
    assert queue.seconds() == pytest.approx(200e-4)
    assert queue.seconds_before(2.0) == pytest.approx(200e-4)
    assert queue.seconds_before(1.0) == pytest.approx(100e-4)


def test_overdue_requests_are_finished_one_after_the_other() -> None:
    queue, room = BatchQueue(), lane(budget=200)
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
    queue, busy, other = BatchQueue(), lane(budget=200), lane(budget=200)
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
    queue, first, second = BatchQueue(), lane(), lane()
    queue.add([entry(second, 10, turn=2.0), entry(first, 10, turn=1.0), entry(first, 10, turn=3.0)])
    order = []
    while (batch := queue.take(0.0)) is not None:
        order.append(batch.lane)
    assert order == [first, second]


def test_a_discarded_call_leaves_nothing_behind() -> None:
    queue, room = BatchQueue(), lane()
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
    room = lane()
    call = enqueue(
        room, [row(100), row(200), row(50)], RequestContext(), Load(5.0, 7.0, 9999, 0, 0.0), 3.0, 1.0
    )
    assert np.allclose([one.turn for one in call.entries], [7.0, 7.01, 7.03])
    assert np.allclose([one.due for one in call.entries], [11.0, 11.02, 11.06])


def test_vocabulary_rows_are_bounded_too() -> None:
    queue, room = BatchQueue(), lane(positions=10)
    rows = [TokenSequence(np.ones(20, np.int64), None, np.arange(4)) for _ in range(5)]
    call = enqueue(room, rows, RequestContext(), AT_ZERO, 0.0, 1.0)
    queue.add(call.entries)
    taken = []
    while (batch := queue.take(0.0)) is not None:
        taken.append(len(batch.entries))
    assert taken == [2, 2, 1]


def test_speed_is_that_of_recent_batches() -> None:
    room = lane()
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
    room = lane()
    room.measured(1024, 60.0)
    assert room.seconds_per_token < MOST_OF_EXPECTED * 1e-4
    for _ in range(60):
        room.measured(1024, 60.0)
    assert room.seconds_per_token == pytest.approx(60.0 / 1024, rel=0.05), "what stays slow is believed"
