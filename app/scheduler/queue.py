"""The rows that wait, and whose turn it is: batching policy (with ``grouping``), none of the waiting.

Every row has a ``turn`` on the fair clock (see ``fair_clock``). For the first row of a request that is its
arrival; each further row comes later by the time that the rows before it take. Rows are served around the one
with the earliest turn, so a document of 500 windows fills the engine when it is idle, and a single sentence
that arrives meanwhile goes ahead of the windows whose turn has not come.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.scheduler.grouping import choose, first_of
from app.scheduler.lane import Batch, Call, Entry, Lane


class BatchQueue:
    """Rows that wait, by lane."""

    def __init__(self) -> None:
        self._lanes: dict[int, Lane] = {}
        self.rows = 0
        self.tokens = 0

    def add(self, entries: Iterable[Entry]) -> None:
        """Let ``entries`` wait (again, when they come back from the engine's tray)."""
        for entry in entries:
            lane = entry.lane
            entry.waiting = True
            self._lanes[id(lane)] = lane
            lane.waiting.append(entry)
            self._count(entry, 1)

    def discard(self, call: Call) -> None:
        """Forget the waiting rows of a dropped call. They are swept out when the next batch is taken."""
        for entry in call.entries:
            if entry.waiting:
                entry.waiting = False
                self._count(entry, -1)

    def clear(self) -> None:
        """Forget everything."""
        for lane in self._lanes.values():
            for entry in lane.waiting:
                entry.waiting = False
            lane.waiting = []
            lane.waiting_rows = lane.waiting_tokens = 0
        self._lanes.clear()
        self.rows = self.tokens = 0

    def seconds(self) -> float:
        """How long the engine needs for what waits."""
        return sum(lane.waiting_tokens * lane.seconds_per_token for lane in self._lanes.values())

    def seconds_before(self, turn: float) -> float:
        """How long the engine needs for what waits and has its turn before ``turn``."""
        return sum(
            lane.seconds_per_token
            * sum(entry.tokens for entry in lane.waiting if entry.turn <= turn and entry.waiting)
            for lane in self._lanes.values()
        )

    def take(self, now: float) -> Batch | None:
        """Take the next batch out; None when nothing waits."""
        self._sweep()
        if not self._lanes:
            return None
        # Lanes take turns by the row that each would serve next.
        first = min((first_of(lane, now) for lane in self._lanes.values()), key=_turn)
        lane = first.lane
        chosen = choose(first, now)
        for entry in chosen:
            entry.waiting = False
            self._count(entry, -1)
        self._sweep_lane(lane)
        return Batch(lane, tuple(chosen))

    def _count(self, entry: Entry, sign: int) -> None:
        entry.lane.waiting_rows += sign
        entry.lane.waiting_tokens += sign * entry.tokens
        self.rows += sign
        self.tokens += sign * entry.tokens

    def _sweep(self) -> None:
        for lane in list(self._lanes.values()):
            lane.waiting.sort(key=_turn)
            self._sweep_lane(lane)

    def _sweep_lane(self, lane: Lane) -> None:
        lane.waiting = [entry for entry in lane.waiting if entry.waiting]
        if not lane.waiting:
            # A lane without rows is nobody's: an unloaded model must not be kept in memory from here.
            del self._lanes[id(lane)]


def _turn(entry: Entry) -> float:
    return entry.turn
