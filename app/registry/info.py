"""What is told of a served model to those who ask what there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.bundle import Bundle, GraphName, Task
from app.registry.loading import GraphInfo, LiveModel


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One served model.

    Attributes:
        versions: on disk when it was last looked through, the highest first.
        pinned: the version that must be served, or None.
        default: whether it answers requests of its task that name no model.
        graphs: how each graph runs.
    """

    name: str
    version: str
    task: Task
    versions: tuple[str, ...]
    pinned: str | None
    default: bool
    graphs: Mapping[GraphName, GraphInfo]
    loaded_at: float
    bundle: Bundle


def info_of(live: LiveModel, *, versions: Iterable[str], pinned: str | None, default: bool) -> ModelInfo:
    """``live`` with what only the registry knows; see :class:`ModelInfo`."""
    bundle = live.served.bundle
    return ModelInfo(
        name=bundle.manifest.name,
        version=live.version,
        task=bundle.manifest.task,
        versions=tuple(versions),
        pinned=pinned,
        default=default,
        graphs=live.graphs(),
        loaded_at=live.loaded_at,
        bundle=bundle,
    )
