"""What is served: models on disk, loaded, swapped and dropped while requests flow.

A swap is one assignment on the event loop. Requests that began with the old version keep it: whoever holds
its ``ServedModel`` also holds its graphs, and the memory is freed when the last of them lets go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from app.bundle import Bundle, BundleError, GraphName, Task, version_key
from app.errors import ModelNotFound, ModelRefused
from app.registry.choice import Choice
from app.registry.info import ModelInfo, info_of
from app.registry.loading import LiveModel, Loader, LoadOptions, load_in_thread, refusal
from app.registry.memory import MemoryReturn
from app.registry.refusals import Refusals
from app.registry.repository import Found, Key, fingerprint, scan
from app.scheduler.lane import Lane
from app.scheduler.model_engine import ModelEngine
from app.scheduler.scheduler import Scheduler
from app.tasks.model import ServedModel, served_model

_log = logging.getLogger(__name__)

PARALLEL_LOADS = 2


class LoadObserver(Protocol):
    """What telemetry hears of the registry."""

    def model_load(self, model: str, outcome: str) -> None:
        """A version of ``model`` was ``loaded`` or ``refused``."""


class Registry:
    """The served models of one process. All methods belong to the event loop.

    Args:
        models_dir: the model repository.
        scheduler: that runs every model's graphs.
        options: how graphs are opened.
        defaults: see :class:`app.registry.choice.Choice`.
        observer: hears of loads.
        on_change: called whenever a model came, was replaced or went.
    """

    def __init__(
        self,
        models_dir: Path,
        scheduler: Scheduler,
        *,
        options: LoadOptions | None = None,
        defaults: tuple[str, ...] = (),
        observer: LoadObserver | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._dir = models_dir
        self._on_change = on_change
        self._scheduler = scheduler
        self._observer = observer
        self._loader = Loader(options or LoadOptions(), self._assemble)
        self._live: dict[str, LiveModel] = {}
        self._choice = Choice(self._live, defaults)
        self._found = Found()
        self._pins: dict[str, str] = {}
        self._unloaded: set[str] = set()
        self._refusals = Refusals()
        self._locks: dict[str, asyncio.Lock] = {}
        self._loads = asyncio.Semaphore(PARALLEL_LOADS)
        self._memory = MemoryReturn()

    # ---- asking

    def get(self, name: str | None, task: Task) -> ServedModel:
        """The model called ``name`` (``name`` or ``name@version``), or the default one of ``task``.

        Raises:
            ModelNotFound: there is none, or it cannot do ``task``.
        """
        return self._choice.get(name, task)

    @property
    def ready(self) -> bool:
        """Whether nothing is lacking, and the engine runs."""
        return not self.lack() and self._scheduler.state == "running"

    def lack(self) -> str:
        """What is missing before requests can be answered as configured; empty when nothing is.

        That is a model, whichever, and each of the defaults, save one that an administrator unloaded.
        """
        for name in self._choice.defaults:
            if name not in self._live and name not in self._unloaded:
                why = self._refusals.reason_of(name) or f"{self._dir} has no bundle of it"
                return f"the default model {name} is not served: {why}"
        return "" if self._live else "no model is served"

    def unknown_defaults(self) -> list[str]:
        """Defaults of which there is nothing on disk, not even something that was refused."""
        known = {*self._found.versions, *self._unloaded, *(name for name, _ in self._found.unreadable)}
        return [name for name in self._choice.defaults if name not in known]

    def models(self) -> list[ModelInfo]:
        """Served models by name."""
        return [self._info(name) for name in sorted(self._live)]

    def refused(self) -> dict[Key, str]:
        """Why versions on disk are not served, by name and version."""
        return self._refusals.reasons()

    # ---- changing

    async def start(self) -> None:
        """Load the best version of every model on disk; those that fail are logged and left out."""
        await self.refresh()
        # Opening graphs leaves as much garbage as graphs.
        self._memory.trim_soon()

    async def refresh(self) -> None:
        """Look through the repository once, and load versions that are better than those served."""
        found = await self._look()
        names = [name for name in found.versions if name not in self._unloaded]
        await asyncio.gather(*(self._refresh_one(name, found) for name in names))

    async def watch(self, interval: float) -> None:
        """Refresh every ``interval`` seconds, for ever."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self.refresh()
            except Exception:
                _log.exception("the model repository could not be looked through; trying again")

    async def load(self, name: str, version: str | None = None) -> ModelInfo:
        """Serve ``version`` of ``name`` and pin it; without a version the highest, and follow new ones.

        Loads it even if it is served already, so a bundle that was repaired in place is read again. A caller
        that is cancelled changes nothing: what had been opened until then is closed.

        Raises:
            ModelNotFound: no such model or version on disk.
            ModelRefused: the bundle fails its checks; what was served is served still.
        """
        versions = await self._versions(name)
        chosen = version or versions[0]
        if chosen not in versions:
            raise ModelNotFound(f"{name} has no version {chosen[:80]!r} on disk, only {', '.join(versions)}")
        async with self._lock(name):
            problem = await self._try(name, chosen)
            if problem is not None:
                raise ModelRefused(problem)
            self._unloaded.discard(name)
            self._set_pin(name, version)
            return self._info(name)

    async def unload(self, name: str) -> None:
        """Stop serving ``name`` until it is loaded again; requests that it is working on are finished.

        A default that is not served, as when its bundle was refused, is waited for no longer.

        Raises:
            ModelNotFound: it is not served, and not waited for either.
        """
        async with self._lock(name):
            live = self._live.pop(name, None)
            if live is None and (name not in self._choice.defaults or name in self._unloaded):
                raise ModelNotFound(f"no model {name[:80]!r} is served")
            self._unloaded.add(name)
            self._pins.pop(name, None)
            if live is not None:
                self._memory.trim_after(live)
            self._on_change()
        _log.info("unloaded %s", name)

    async def pin(self, name: str, version: str | None) -> ModelInfo:
        """Serve ``version`` whatever else appears; None follows the highest again, at once.

        Raises:
            ModelNotFound, ModelRefused: as :meth:`load`; the pin is then unchanged.
        """
        async with self._lock(name):
            live = self._live.get(name)
            if live is not None and live.version == version:
                self._set_pin(name, version)
                return self._info(name)
        return await self.load(name, version)

    async def close(self) -> None:
        """Drop all models."""
        self._memory.close()
        for name in list(self._live):
            self._live.pop(name)

    # ---- inside

    def _assemble(self, bundle: Bundle, lanes: Mapping[GraphName, Lane]) -> ServedModel:
        return served_model(bundle, ModelEngine(self._scheduler, lanes))

    async def _look(self) -> Found:
        """Look through the repository off the event loop: a disk that hangs must hold up nobody."""
        found = self._found = await asyncio.to_thread(scan, self._dir, self._refusals.keys())
        for (name, version), why in self._refusals.look(found).items():
            self._tell(name, "refused")
            _log.error("refused %s: %s", "/".join(filter(None, (name, version))), why)
        return found

    async def _versions(self, name: str) -> list[str]:
        versions = (await self._look()).versions.get(name)
        if not versions:
            why = self._refusals.reason_of(name)
            raise ModelNotFound(f"no model {name[:80]!r} on disk" + (f": {why}" if why else ""))
        return versions

    async def _refresh_one(self, name: str, found: Found) -> None:
        versions = found.versions[name]
        async with self._lock(name):
            if name in self._unloaded:
                # Unloaded while this waited for its turn.
                return
            pin = self._pins.get(name)
            live = self._live.get(name)
            for version in [pin] if pin is not None else versions:
                if live is not None and version == live.version:
                    return
                if pin is None and live is not None and version_key(version) < version_key(live.version):
                    # What serves was taken off the disk. It still serves: going back is an operator's choice.
                    return
                key = (name, version)
                if version not in versions or not self._refusals.worth_trying(key, found.marks.get(key)):
                    continue
                if await self._try(name, version) is None:
                    return

    async def _try(self, name: str, version: str) -> str | None:
        """Load and swap in; returns why it was refused, or None."""
        directory = self._dir / name / version
        mark = await asyncio.to_thread(fingerprint, directory)
        try:
            async with self._loads:
                live = await load_in_thread(self._loader, directory)
        except Exception as error:  # libraries raise their own; one bad bundle must not end the others
            problem = refusal(error)
            self._refusals.add((name, version), problem, mark if isinstance(error, BundleError) else None)
            self._tell(name, "refused")
            serving = self._live.get(name)
            still = f"version {serving.version} stays" if serving else "no version of it is served"
            _log.error("refused %s/%s: %s (%s)", name, version, problem, still)
            return problem
        self._refusals.remove((name, version))
        old = self._live.get(name)
        self._live[name] = live
        self._choice.remember(name)
        self._tell(name, "loaded")
        _log.info("serving %s/%s, loaded in %.2f s", name, version, live.load_seconds)
        if old is not None:
            self._memory.trim_after(old)
        self._on_change()
        return None

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def _set_pin(self, name: str, version: str | None) -> None:
        if version is None:
            self._pins.pop(name, None)
        else:
            self._pins[name] = version

    def _tell(self, name: str, outcome: str) -> None:
        if self._observer is not None:
            self._observer.model_load(name, outcome)

    def _info(self, name: str) -> ModelInfo:
        live = self._live[name]
        return info_of(
            live,
            versions=self._found.versions.get(name, ()),
            pinned=self._pins.get(name),
            default=self._choice.default(live.served.bundle.manifest.task) == name,
        )
