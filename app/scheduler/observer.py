"""What the scheduler tells of itself: counts that it keeps, and events for telemetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.scheduler.worker import Report


class Observer(Protocol):
    """What telemetry hears. Called on the event loop; must be quick and not raise."""

    def batch(self, model: str, *, sequences: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        """A batch is finished."""

    def failed(self, model: str) -> None:
        """A row could not be computed, not even alone."""

    def queue(self, model: str, *, sequences: int, tokens: int) -> None:
        """How much of ``model`` waits now."""


class NullObserver:
    """An :class:`Observer` that tells nobody."""

    def batch(self, model: str, *, sequences: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        pass

    def failed(self, model: str) -> None:
        pass

    def queue(self, model: str, *, sequences: int, tokens: int) -> None:
        pass


@dataclass(slots=True)
class Counts:
    """What happened since the start. ``tokens`` are real ones, ``padded_tokens`` what was computed."""

    admitted: int = 0
    refused_full: int = 0
    refused_deadline: int = 0
    dropped_cancelled: int = 0
    dropped_deadline: int = 0
    bad_rows: int = 0
    batches: int = 0
    retried_batches: int = 0
    rows: int = 0
    tokens: int = 0
    padded_tokens: int = 0

    def add(self, report: Report) -> None:
        """A batch is finished."""
        self.batches += 1
        self.retried_batches += report.retried
        self.rows += len(report.results)
        self.tokens += report.tokens
        self.padded_tokens += report.padded_tokens

    @property
    def padding_ratio(self) -> float:
        """Computed over real tokens; 1 is no padding."""
        return self.padded_tokens / self.tokens if self.tokens else 1.0
