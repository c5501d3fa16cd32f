"""The events that the scheduler tells telemetry of."""

from __future__ import annotations

from typing import Protocol


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
