"""Which of a lane's waiting rows make the next batch.

Unless rows are overdue, a batch holds the one with the earliest turn. Around it stand, out of the rows that
wait next (a look-ahead of a few batches), those of similar length with which a padded token does most work. A
row that would be mostly padding beside its neighbours waits for better company, unless the batch is so small
that its fixed cost weighs more.

Rows that were passed over for longer than the age limit, and twice as long as was predicted when they came,
are served whatever the padding costs, and request by request in order of arrival: when the engine is so much
slower than it was that not all can be in time, taking turns would make every one of them late.
"""

from __future__ import annotations

import itertools
import math

from app.scheduler.lane import Entry, Lane


def first_of(lane: Lane, now: float) -> Entry:
    """The row that the lane's next batch is built around; the waiting rows stand in order of their turns."""
    head = lane.waiting[0]
    return head if head.due > now else min(lane.waiting, key=lambda entry: _overdue_order(entry, now))


def choose(first: Entry, now: float) -> list[Entry]:
    """The rows of the batch that is built around ``first``, its lane's :func:`first_of`."""
    lane = first.lane
    if first.due <= now:
        chosen = _overdue_first(lane, now)
    else:
        chosen = around(first, _lookahead(lane), lane.batch_tokens, lane.overhead_tokens)
    return _within_positions(chosen, first, lane.batch_positions)


def around(oldest: Entry, candidates: list[Entry], budget: int, overhead: float) -> list[Entry]:
    """``oldest`` and those candidates of similar length with which the engine does most per second.

    In order of length a batch is a run of rows that holds ``oldest``. For each longest row that still leaves
    room for it, shorter rows join from ``oldest`` downwards while that raises the batch's yield: real tokens
    over padded ones and the ``overhead`` of a batch. The best yield wins.
    """
    rows = sorted(candidates, key=_tokens)
    here = rows.index(oldest)
    totals = [0, *itertools.accumulate(entry.tokens for entry in rows)]
    best, first, last = 0.0, here, here
    for end in range(here, len(rows)):
        width = rows[end].tokens
        room = max(1, budget // width)
        count = end + 1 - here
        if count > room:
            break
        start, real = here, totals[end + 1] - totals[here]
        while start and count < room:
            shorter = rows[start - 1].tokens
            # Its own yield, shorter / width, must beat that of the batch without it.
            if shorter * (count * width + overhead) < real * width:
                break
            start, real, count = start - 1, real + shorter, count + 1
        gain = real / (count * width + overhead)
        if gain >= best:
            best, first, last = gain, start, end
    return rows[first : last + 1]


def _lookahead(lane: Lane) -> list[Entry]:
    limit = lane.lookahead_tokens
    if lane.waiting_tokens <= limit:
        return lane.waiting
    total = 0
    for count, entry in enumerate(lane.waiting, 1):
        total += entry.tokens
        if total >= limit:
            return lane.waiting[:count]
    return lane.waiting


def _overdue_first(lane: Lane, now: float) -> list[Entry]:
    """Overdue rows in order of their requests' arrival, as many as fit; then others that need no wider
    batch."""
    chosen: list[Entry] = []
    width = 0
    for entry in sorted(lane.waiting, key=lambda entry: _overdue_order(entry, now)):
        if entry.due > now and entry.tokens > width:
            continue
        wider = max(width, entry.tokens)
        if chosen and wider * (len(chosen) + 1) > lane.batch_tokens:
            continue
        chosen.append(entry)
        width = wider
    return chosen


def _within_positions(chosen: list[Entry], oldest: Entry, limit: int) -> list[Entry]:
    if sum(entry.positions for entry in chosen) <= limit:
        return chosen
    kept, total = [oldest], oldest.positions
    for entry in chosen:
        if entry is not oldest and total + entry.positions <= limit:
            kept.append(entry)
            total += entry.positions
    return kept


def _overdue_order(entry: Entry, now: float) -> tuple[float, int, float]:
    """Overdue rows by request, and by turn in each; then the others by turn.

    Which of two requests of the same moment comes first is all the same, as long as one does.
    """
    return (entry.arrival, id(entry.call), entry.turn) if entry.due <= now else (math.inf, 0, entry.turn)


def _tokens(entry: Entry) -> int:
    return entry.tokens
