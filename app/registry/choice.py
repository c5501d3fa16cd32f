"""Which of the served models answers a request."""

from __future__ import annotations

from collections.abc import Mapping

from app.bundle import Task
from app.errors import ModelNotFound
from app.registry.loading import LiveModel
from app.tasks.model import ServedModel


class Choice:
    """By name, or for requests that name none by task.

    Args:
        live: the served models by name; it changes as models come and go.
        defaults: names that answer when a request names none: of those for its task the first that is
            served, and no other model in their place.
    """

    def __init__(self, live: Mapping[str, LiveModel], defaults: tuple[str, ...]) -> None:
        self._live = live
        self.defaults = defaults
        # Of every model that was served since the start.
        self._known_tasks: dict[str, Task] = {}

    def remember(self, name: str) -> None:
        """``name`` is served now."""
        self._known_tasks[name] = self._live[name].served.bundle.manifest.task

    def get(self, name: str | None, task: Task) -> ServedModel:
        """The model called ``name`` (``name`` or ``name@version``), or the default one of ``task``.

        Raises:
            ModelNotFound: there is none, or it cannot do ``task``.
        """
        if name is None:
            default = self.default(task)
            if default is None:
                configured = ", ".join(self._configured(task))
                missing = f"default model for {task} ({configured})" if configured else f"model for {task}"
                raise ModelNotFound(f"no {missing} is served; {self._offer(task)}; see /v1/models")
            return self._live[default].served
        bare, _, version = name.partition("@")
        live = self._live.get(bare)
        if live is None:
            raise ModelNotFound(f"no model {bare[:80]!r}; {self._offer(task)}")
        if version and version != live.version:
            raise ModelNotFound(f"{bare} is served in version {live.version}, not {version[:80]!r}")
        if live.served.bundle.manifest.task != task:
            raise ModelNotFound(
                f"{bare} is a model for {live.served.bundle.manifest.task}; {self._offer(task)}"
            )
        return live.served

    def default(self, task: Task) -> str | None:
        """The model that answers requests of ``task`` that name none.

        Without configured defaults the first by name, experimental ones last.
        """
        configured = self._configured(task)
        if configured:
            # Never another in their place: it would answer a different question under the same name of none.
            return next((name for name in configured if name in self._live), None)
        able = self._able(task)
        steady = [name for name in able if not self._live[name].served.bundle.manifest.experimental]
        return min(steady or able, default=None)

    def _configured(self, task: Task) -> list[str]:
        """Defaults for ``task``; one that was never served may be for any."""
        return [name for name in self.defaults if self._known_tasks.get(name, task) == task]

    def _able(self, task: Task) -> list[str]:
        return [name for name in self._live if self._known_tasks[name] == task]

    def _offer(self, task: Task) -> str:
        return f"models for {task}: {', '.join(sorted(self._able(task))) or 'none'}"
