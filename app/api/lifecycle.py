"""Whether the service may be sent work: starting, ready, draining, or dead."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from app.errors import EngineDead, NotReady


class State(Enum):
    """``starting`` -> ``ready`` -> ``draining``; ``dead`` from any of them, and from ``dead`` nowhere."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    DEAD = "dead"


class Lifecycle:
    """The state that readiness shows, and whom to tell when the process must end.

    ``reason`` is one line for people: why the service is not ready. ``was_ready``: whether it ever was;
    ``loading``: whether the first load of the models has not ended yet, well or badly.
    """

    def __init__(self, watch: Callable[[bool], None] | None = None) -> None:
        """``watch`` is told whether the service is ready, now and at every change."""
        self._watch = watch
        self._served = True
        self.state = State.STARTING
        self.reason = "models are being loaded"
        self.loading = True
        self.was_ready = False
        self._listeners: list[Callable[[str], None]] = []
        self._tell()

    @property
    def ready(self) -> bool:
        """What ``/readyz`` and the gauge say: in state ``ready``, and a model is served."""
        return self.state is State.READY and self._served

    @property
    def status(self) -> str:
        """The state in a word. A service whose last model was unloaded waits for one, as at its start."""
        waits = self.state is State.READY and not self._served
        return (State.STARTING if waits else self.state).value

    @property
    def alive(self) -> bool:
        return self.state is not State.DEAD

    @property
    def stopping(self) -> bool:
        return self.state in (State.DRAINING, State.DEAD)

    def to_ready(self) -> None:
        """Models are loaded. A service that is already stopping stays so."""
        if self.state is State.STARTING:
            self.state, self.was_ready, self.loading = State.READY, True, False
            self.set_served(self._served)

    def waits_for(self, reason: str) -> None:
        """Models are loaded, and something is missing without which the service does not become ready."""
        if self.state is State.STARTING:
            self.reason, self.loading = reason, False

    def set_served(self, served: bool) -> None:
        """Whether any model is served now: an administrator may unload the last one, and load one again."""
        self._served = served
        if self.state is State.READY:
            self.reason = "" if served else "no model is served"
            self._tell()

    def to_draining(self) -> None:
        """Stop being ready; what was accepted is still answered."""
        if self.state is not State.DEAD:
            self.state, self.reason, self.loading = State.DRAINING, "the service is stopping", False
            self._tell()

    def to_dead(self, reason: str) -> None:
        """The process cannot serve any more; the listeners end it with a non-zero exit code."""
        if self.state is State.DEAD:
            return
        self.state, self.reason, self.loading = State.DEAD, reason, False
        self._tell()
        for listener in self._listeners:
            listener(reason)

    def on_death(self, listener: Callable[[str], None]) -> None:
        """Call ``listener(reason)`` when the service dies, or at once when it has."""
        self._listeners.append(listener)
        if self.state is State.DEAD:
            listener(self.reason)

    def check_serving(self) -> None:
        """Let a task pass.

        While draining, requests are still served: they were sent before the client could know.

        Raises:
            NotReady: models are still being loaded.
            EngineDead: the process is about to exit.
        """
        if self.state is State.STARTING:
            raise NotReady(self.reason, retry_after_s=1.0)
        if self.state is State.DEAD:
            raise EngineDead(self.reason)

    def _tell(self) -> None:
        if self._watch:
            self._watch(self.ready)
