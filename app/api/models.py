"""What the API asks of whoever serves the models."""

from __future__ import annotations

from typing import Protocol

from app.bundle import Task
from app.registry import Key, ModelInfo
from app.scheduler.engine import RequestContext
from app.tasks.model import ServedModel


class ModelRepository(Protocol):
    """Served models by name and task, and what an administrator may change."""

    async def start(self) -> None:
        """Load and warm what is on disk, then keep watching it.

        Raises:
            NoModels: nothing can be served, or there is nothing of a default model, and the settings require
                it.
        """

    async def close(self) -> None:
        """Stop watching and free every model; called when no request is in flight any more."""

    @property
    def ready(self) -> bool:
        """Whether at least one model can answer, and each default that nobody unloaded is among them."""

    def get(self, name: str | None, task: Task) -> ServedModel:
        """The model of this name (``name`` or ``name@version``), or the default one of ``task``.

        Raises:
            ModelNotFound: there is none, or it cannot do ``task``.
        """

    def accept(
        self, model: ServedModel, context: RequestContext, characters: int = 0, texts: int = 0
    ) -> None:
        """Let a request in that ``model`` is to answer; a service that stops waits until it ends.

        Args:
            model: that answers.
            context: of the request.
            characters, texts: what is to be computed; 0 where the engine is not needed.

        Raises:
            NotReady, EngineDead: no new request is taken.
            QueueFull: so much would not be done in time.
        """

    def models(self) -> list[ModelInfo]:
        """All served models, classifiers first, each task's default before the others."""

    def refused(self) -> dict[Key, str]:
        """Why versions on disk are not served, by name and version; the version is empty where nothing of a
        model can be read."""

    async def load(self, name: str, version: str | None) -> None:
        """Verify, warm and swap in a version; the newest when it is not named.

        Raises:
            ModelNotFound: not on disk.
            ModelRefused: it fails its checks; what served before still does.
        """

    async def unload(self, name: str) -> None:
        """Serve the model no longer; requests that are in flight are finished.

        Raises:
            ModelNotFound: it is not served.
        """

    async def pin(self, name: str, version: str | None) -> None:
        """Hold the model at ``version`` (loading it if need be), or let it follow the newest again (None).

        Raises:
            ModelNotFound, ModelRefused: as :meth:`load`.
        """


class NoModels(Exception):  # noqa: N818 - named by what happened, as in app.errors
    """Nothing can be served. The message is one line with the cure."""
