"""What a task asks of inference, and nothing about how it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.bundle import GraphName
from app.runtime.batch import Outputs
from app.text.sequence import TokenSequence


@dataclass(slots=True)
class Timing:
    """Seconds that a request spent in each phase; every call adds to them.

    Attributes:
        tokenize: turning text into ids.
        queue: waiting for the engine to start on the first row of each call.
        inference: from then until the last row was done, batches between that held none of its rows included.
    """

    tokenize: float = 0.0
    queue: float = 0.0
    inference: float = 0.0


@dataclass(slots=True, eq=False)
class RequestContext:
    """What follows one request through the rooms.

    Attributes:
        deadline: on the event loop's clock (``loop.time()``), in seconds; None waits as long as it takes.
        timing: filled in on the way.
        request_id: for logs.
        characters: of all texts, where they are known before their tokens.
        turn: on the scheduler's fair clock: when the next rows of this request are due. None until the
            scheduler has taken the first. A request of several stages keeps its place in the queue.
    """

    deadline: float | None = None
    timing: Timing = field(default_factory=Timing)
    request_id: str = ""
    characters: int = 0
    turn: float | None = None
    _watchers: list[Callable[[], None]] = field(default_factory=list)

    def on_end(self, watcher: Callable[[], None]) -> None:
        """Call ``watcher`` when the request is over, however it ends."""
        self._watchers.append(watcher)

    def end(self) -> None:
        """The request is over: answered, refused, or its client is gone."""
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()


class Engine(Protocol):
    """Runs token sequences: the scheduler does it for the service, a direct one for offline evaluation."""

    async def infer(
        self, sequences: Sequence[TokenSequence], context: RequestContext, *, graph: GraphName = "model"
    ) -> list[Outputs]:
        """Results of ``sequences``, in their order: all of them, or an error for the whole call.

        Raises:
            NotReady: the service is stopping, and this request was not let in before.
            QueueFull: admission refused; its ``retry_after_s`` says when to come back.
            DeadlineExceeded: the wait would pass, or has passed, ``context.deadline``.
            BadItem: a sequence failed in the engine even when run alone.
            EngineDead: an inference thread is gone.
        """
