"""What the scheduler tells of itself: counts that it keeps, and events for telemetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Observer(Protocol):
    """What telemetry hears. Called on the event loop; must be quick and not raise."""

    def batch(self, model: str, *, sequences: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        """A batch is finished."""

    def queue(self, model: str, *, sequences: int, tokens: int) -> None:
        """How much of ``model`` waits now."""


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

    @property
    def padding_ratio(self) -> float:
        """Computed over real tokens; 1 is no padding."""
        return self.padded_tokens / self.tokens if self.tokens else 1.0
