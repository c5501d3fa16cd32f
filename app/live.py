"""The models of one worker process: scheduler and registry started, watched and closed together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from pathlib import Path

from app.api.lifecycle import Lifecycle
from app.api.models import NoModels
from app.bundle import Task
from app.changes import Action, Change, ChangeLog
from app.errors import NotReady
from app.registry import Key, LoadOptions, ModelInfo, Registry
from app.runtime.threads import available_threads
from app.scheduler.engine import RequestContext
from app.scheduler.model_engine import ModelEngine
from app.scheduler.scheduler import Scheduler
from app.settings import Settings, variable
from app.tasks.model import ServedModel
from app.telemetry import Metrics

_log = logging.getLogger("electra")


class LiveModels:
    """An :class:`app.api.models.ModelRepository` over ``settings.models_dir``.

    Args:
        settings: the service's.
        lifecycle: told when inference dies.
        metrics: told of batches, queues and loads.
        shared: directory that this service's workers share; None for a single one.
    """

    def __init__(
        self, settings: Settings, lifecycle: Lifecycle, metrics: Metrics | None, shared: Path | None = None
    ) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._changes = ChangeLog(shared) if shared else None
        # Of each model one change at a time, from its beginning until the other workers are told.
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._scheduler: Scheduler | None = None
        self._registry: Registry | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """See :meth:`app.api.models.ModelRepository.start`."""
        settings = self._settings
        if settings.require_models:
            _check_directory(settings)
        parallel = parallel_of(settings)
        if self._metrics:
            self._metrics.parallel(parallel)
        self._scheduler = Scheduler(
            queue_tokens=settings.queue_tokens,
            observer=self._metrics,
            on_dead=self._lifecycle.to_dead,
            parallel=parallel,
        )
        self._registry = registry = Registry(
            settings.models_dir,
            self._scheduler,
            options=LoadOptions(
                backend=settings.backend,
                precision=settings.precision,
                threads=threads_of(settings),
                parallel=parallel,
                batch_tokens=settings.batch_tokens,
            ),
            defaults=settings.default_models,
            observer=self._metrics,
            on_change=lambda: self._lifecycle.set_served(registry.ready),
        )
        await registry.start()
        if self._changes:
            # Versions that an administrator named may be gone by now: no reason not to start.
            await self._changes.catch_up(self._apply)
        if settings.require_models:
            self._check_models(registry)
        if settings.watch_interval_s > 0:
            self._tasks.append(asyncio.create_task(registry.watch(settings.watch_interval_s)))
        if self._changes:
            self._tasks.append(asyncio.create_task(self._changes.follow(self._apply)))
        if not registry.ready:
            _log.error("not ready: %s", registry.lack())
        while not registry.ready:
            self._lifecycle.waits_for(registry.lack())
            # What makes it ready is a file that somebody copies.
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        """See :meth:`app.api.models.ModelRepository.close`."""
        for task in self._tasks:
            task.cancel()
            # One that had failed must not keep the rest from being closed.
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        if self._scheduler:
            # uvicorn has waited for them already, other servers need not have.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.shutdown_timeout_s):
                    await self._scheduler.drain()
            await self._scheduler.close()
        if self._registry:
            await self._registry.close()

    @property
    def ready(self) -> bool:
        return self._registry is not None and self._registry.ready

    def get(self, name: str | None, task: Task) -> ServedModel:
        return self._served().get(name, task)

    def accept(
        self, model: ServedModel, context: RequestContext, characters: int = 0, texts: int = 0
    ) -> None:
        assert isinstance(model.engine, ModelEngine)
        model.engine.accept(context, characters, texts)

    def models(self) -> list[ModelInfo]:
        if self._registry is None:
            return []
        return sorted(self._registry.models(), key=lambda m: (m.task != "classify", not m.default, m.name))

    def refused(self) -> dict[Key, str]:
        return self._registry.refused() if self._registry else {}

    async def load(self, name: str, version: str | None) -> None:
        async with self._changing[name]:
            await self._served().load(name, version)
            self._tell("load", name, version)

    async def unload(self, name: str) -> None:
        async with self._changing[name]:
            await self._served().unload(name)
            self._tell("unload", name, None)

    async def pin(self, name: str, version: str | None) -> None:
        async with self._changing[name]:
            await self._served().pin(name, version)
            self._tell("pin", name, version)

    def _served(self) -> Registry:
        if self._registry is None:
            raise NotReady("models are being loaded")
        return self._registry

    def _tell(self, action: Action, name: str, version: str | None) -> None:
        if self._changes:
            self._changes.append(action, name, version)

    async def _apply(self, change: Change) -> None:
        registry = self._served()
        async with self._changing[change.name]:
            if self._changes and self._changes.overtaken(change):
                return
            if change.action == "load":
                await registry.load(change.name, change.version)
            elif change.action == "pin":
                await registry.pin(change.name, change.version)
            else:
                await registry.unload(change.name)

    def _check_models(self, registry: Registry) -> None:
        if not registry.models():
            raise NoModels(self._nothing())
        unknown = registry.unknown_defaults()
        if unknown:
            served = ", ".join(model.name for model in registry.models())
            raise NoModels(
                f"{variable('default_models')} names {', '.join(unknown)}, "
                f"of which {self._settings.models_dir} has nothing; it has {served}"
            )

    def _nothing(self) -> str:
        refused = self.refused()
        if refused:
            key, why = next(iter(refused.items()))
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            return f"no model can be served: {'/'.join(filter(None, key))}: {why}{more}"
        return f"{self._settings.models_dir}: holds no bundle; {_CURE}"


_CURE = f"put one at <name>/<version>/bundle.json, or set {variable('models_dir')} to where they are"


def _check_directory(settings: Settings) -> None:
    directory = settings.models_dir
    if not directory.is_dir():
        problem = "is not a directory" if directory.exists() else "does not exist"
        raise NoModels(f"{directory}: {problem}; {_CURE}")
    try:
        next(directory.iterdir(), None)
    except OSError as error:
        raise NoModels(f"{directory}: cannot be read ({error}); let the service's user read it") from None


def threads_of(settings: Settings) -> int:
    """Inference threads of each worker: as set, or its share of the CPU quota."""
    return settings.threads or max(1, available_threads() // settings.workers)


def parallel_of(settings: Settings) -> int:
    """Batches that each worker computes at once (see ``app.scheduler.worker``)."""
    return settings.parallel_batches or min(2, threads_of(settings))
