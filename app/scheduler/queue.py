"""Which rows wait, and which of them make the next batch: all batching policy, none of the waiting.

Order. Every row has a ``turn`` on the fair clock (see ``fair_clock``). For the first row of a request that
is its arrival; each further row comes later by the time that the rows before it take. Rows are served around
the one with the earliest turn, so a document of 500 windows fills the engine when it is idle, and a single
sentence that arrives meanwhile goes ahead of the windows whose turn has not come.

Grouping. Unless rows are overdue, a batch holds the one with the earliest turn. Around it stand, out of the
rows that wait next (a look-ahead of a few batches), those of similar length with which a padded token does
most work. A row that would be mostly padding beside its neighbours waits for better company, unless the batch
is so small that its fixed cost weighs more.

Age. Rows that were passed over for longer than the age limit, and twice as long as was predicted when they
came, are served whatever the padding costs, and request by request in order of arrival: when the engine is so
much slower than it was that not all can be in time, taking turns would make every one of them late.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.bundle import GraphName
from app.runtime.batch import Outputs, Session
from app.scheduler.engine import RequestContext
from app.text.sequence import TokenSequence

LOOKAHEAD_BATCHES = 8
DECAY = 0.9
"""Weight of the past in a lane's measured speed, per batch."""
MOST_OF_EXPECTED = 4.0
"""What one batch can say of a lane's speed: at most this many times what was expected of it. A host that
stood still for a minute while a batch ran is no slower for it."""


@dataclass(slots=True, eq=False)
class Lane:
    """One graph of one model version: rows of one lane can share a batch.

    Attributes:
        model: name of the model.
        graph: of the bundle.
        session: that computes it.
        batch_tokens: budget of padded tokens; a single longer row still runs, alone.
        seconds_per_token: measured, of real tokens in whole batches.
        overhead_tokens: fixed cost of a batch, in tokens: makes a fuller batch worth some padding.
        tokens_per_character: measured, of requests whose characters are known; 0 before the first.
        batch_positions: most masked positions in a batch: each costs a row of the vocabulary's width.
        waiting: rows in the queue, among them some that were discarded and not yet swept out.
        waiting_rows: those that still want an answer.
        waiting_tokens: of these.
    """

    model: str
    graph: GraphName
    session: Session
    batch_tokens: int
    seconds_per_token: float
    overhead_tokens: float = 32.0
    batch_positions: int = 256
    tokens_per_character: float = 0.0
    waiting: list[Entry] = field(default_factory=list)
    waiting_rows: int = 0
    waiting_tokens: int = 0
    _seconds: float = 0.0
    _tokens: float = 0.0

    def __post_init__(self) -> None:
        # The calibration counts as one full batch, so that the first small batches do not upset it.
        self._tokens = float(self.batch_tokens)
        self._seconds = self.seconds_per_token * self.batch_tokens

    @property
    def lookahead_tokens(self) -> int:
        """Rows beyond so many waiting tokens take no part in the choice of the next batch."""
        return LOOKAHEAD_BATCHES * self.batch_tokens

    @property
    def label(self) -> str:
        """Name in metrics and messages."""
        return self.model if self.graph == "model" else f"{self.model}/{self.graph}"

    def measured(self, tokens: int, seconds: float) -> None:
        """Learn from a finished batch of ``tokens`` real tokens."""
        expected = (tokens + self.overhead_tokens) * self.seconds_per_token
        seconds = min(seconds, MOST_OF_EXPECTED * expected)
        self._seconds = self._seconds * DECAY + seconds
        self._tokens = self._tokens * DECAY + tokens
        self.seconds_per_token = self._seconds / self._tokens

    def counted(self, tokens: int, characters: int) -> None:
        """Learn from a request whose ``characters`` have become ``tokens``."""
        found = tokens / characters
        known = self.tokens_per_character
        self.tokens_per_character = known * DECAY + found * (1 - DECAY) if known else found

    def estimate(self, characters: int, texts: int) -> int:
        """About how many tokens so many characters in so many texts will be, and rather fewer than more: of
        each text at most one row is counted, as there may be with ``truncate``."""
        return int(min(characters * self.tokens_per_character, texts * self.session.max_tokens))


@dataclass(slots=True, eq=False)
class Call:
    """One request's visit to the engine.

    ``started``: when the first of its rows did, as far as batches have been reported; ``finished``: when the
    last did, 0 before any.
    """

    context: RequestContext
    entries: list[Entry] = field(default_factory=list)
    results: list[Outputs | None] = field(default_factory=list)
    remaining: int = 0
    dropped: bool = False
    started: float = math.inf
    finished: float = 0.0


@dataclass(slots=True, eq=False)
class Entry:
    """One row. ``waiting`` is false before it is queued and once it was taken into a batch or discarded."""

    call: Call
    lane: Lane
    index: int
    sequence: TokenSequence
    tokens: int
    arrival: float
    turn: float
    due: float
    waiting: bool = False

    @property
    def positions(self) -> int:
        return 0 if self.sequence.positions is None else len(self.sequence.positions)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows that run together."""

    lane: Lane
    entries: tuple[Entry, ...]

    @property
    def tokens(self) -> int:
        return sum(entry.tokens for entry in self.entries)

    @property
    def padded_tokens(self) -> int:
        return max(entry.tokens for entry in self.entries) * len(self.entries)

    @property
    def full(self) -> bool:
        """Whether not even one more row of the same width would fit."""
        width = max(entry.tokens for entry in self.entries)
        return width * (len(self.entries) + 1) > self.lane.batch_tokens


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
        first = min((_first(lane, now) for lane in self._lanes.values()), key=_turn)
        lane = first.lane
        chosen = self._choose(first, now)
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

    def _choose(self, first: Entry, now: float) -> list[Entry]:
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


def _first(lane: Lane, now: float) -> Entry:
    """The row that the lane's next batch is built around."""
    head = lane.waiting[0]
    return head if head.due > now else min(lane.waiting, key=lambda entry: _overdue_order(entry, now))


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


def _turn(entry: Entry) -> float:
    return entry.turn


def _tokens(entry: Entry) -> int:
    return entry.tokens
