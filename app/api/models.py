"""What the API asks of the model registry."""

from __future__ import annotations

from typing import Protocol

from app.bundle import Task
from app.tasks.model import ServedModel


class ModelSource(Protocol):
    """Served models by name and task."""

    def get(self, name: str | None, task: Task) -> ServedModel:
        """The model of this name (``name`` or ``name@version``), or the default one of ``task``.

        Raises:
            ModelNotFound: there is none, or it cannot do ``task``.
        """
