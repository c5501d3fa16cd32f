"""What the queue is made of: lanes, the requests that visit them, their rows, and batches of these."""

from __future__ import annotations

import math
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
        probe: a row that the graph has computed; one that fails later is the engine's fault, not the row's.
        failed_batches: how many came one after another of which not a row, nor the probe, could be computed.
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
    probe: TokenSequence | None = None
    failed_batches: int = 0
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

    Attributes:
        results: by row, None where it has not run yet; ``remaining`` is how many those are.
        dropped: nobody waits for it any more.
        started: when the first of its rows did, as far as batches have been reported.
        finished: when the last did; 0 before any.
    """

    context: RequestContext
    entries: list[Entry] = field(default_factory=list)
    results: list[Outputs | None] = field(default_factory=list)
    remaining: int = 0
    dropped: bool = False
    started: float = math.inf
    finished: float = 0.0

    def ran(self, started: float, finished: float) -> None:
        """Some of its rows were in a batch of this time."""
        self.started = min(self.started, started)
        self.finished = max(self.finished, finished)

    def keep(self, index: int, result: Outputs) -> None:
        """One row is done."""
        self.results[index] = result
        self.remaining -= 1

    def tell_timing(self) -> None:
        """Add to the request's what its rows waited for, and how long they ran."""
        if self.finished:
            self.context.timing.queue += self.started - self.entries[0].arrival
            self.context.timing.inference += self.finished - self.started


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
