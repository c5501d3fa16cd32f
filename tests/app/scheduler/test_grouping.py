"""Which rows make a batch, by their lengths."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduler.grouping import around
from tests.app.scheduler.simulation import entry, lengths, some_lane


def test_equal_rows_fill_the_budget() -> None:
    room = some_lane(budget=640)
    rows = [entry(room, 64, turn) for turn in range(20)]
    assert around(rows[0], rows, 640, 32.0) == rows[:10]


def test_neighbours_in_length_are_preferred_to_padding() -> None:
    room = some_lane(budget=1000)
    oldest = entry(room, 100)
    rows = [oldest, *(entry(room, tokens, 1.0) for tokens in (20, 95, 98, 101, 99, 400, 22))]
    assert lengths(around(oldest, rows, 1000, 32.0)) == [95, 98, 99, 100, 101]


def test_a_lonely_row_takes_company_rather_than_run_alone() -> None:
    room = some_lane(budget=1000)
    oldest = entry(room, 100)
    assert lengths(around(oldest, [oldest, entry(room, 80, 1.0)], 1000, 32.0)) == [80, 100]


def test_a_row_over_budget_runs_alone() -> None:
    room = some_lane(budget=100)
    oldest = entry(room, 300)
    assert around(oldest, [oldest, entry(room, 10), entry(room, 300)], 100, 32.0) == [oldest]


@settings(max_examples=300)
@given(st.lists(st.integers(1, 512), min_size=1, max_size=80), st.integers(16, 4096), st.data())
def test_a_choice_holds_the_oldest_is_a_run_of_lengths_and_fits(
    sizes: list[int], budget: int, data: st.DataObject
) -> None:
    room = some_lane(budget=budget)
    rows = [entry(room, size) for size in sizes]
    oldest = rows[data.draw(st.integers(0, len(rows) - 1))]
    chosen = around(oldest, rows, budget, 32.0)
    assert oldest in chosen
    assert len(chosen) == 1 or max(lengths(chosen)) * len(chosen) <= budget
    low, high = min(lengths(chosen)), max(lengths(chosen))
    assert all(one in chosen for one in rows if low < one.tokens < high)
