"""From a directory to a model that can serve: verify, open, check, warm up. Blocking; runs off the event
loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.bundle import Bundle, BundleError, GraphName, Precision
from app.bundle_files import read_bundle
from app.registry.agreement import check_graph, check_vocabulary
from app.runtime import Backend, open_session
from app.runtime.batch import Session
from app.runtime.calibrate import Calibration, calibrate, sample_rows
from app.runtime.opening import openvino_promising
from app.runtime.rows import GraphShape
from app.scheduler.lane import Lane
from app.tasks.model import ServedModel

_log = logging.getLogger(__name__)

_Kind = tuple[GraphName, Precision, bool, int, int]
POSITION_VALUES = 4_000_000
"""Most values of generator logits in one batch: 16 MB."""
PROBE_TOKENS = 4
"""Of the row that tells the engine's faults from those of texts: few, as it runs after failed batches."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How graphs are opened; see ``app.settings`` for what each means to an operator."""

    backend: Backend = "onnxruntime"
    precision: Precision | None = None
    threads: int | None = None
    parallel: int = 1
    batch_tokens: int | None = None
    calibration_seconds: float = 0.25


@dataclass(frozen=True, slots=True)
class GraphInfo:
    """How one graph runs."""

    backend: str
    precision: str
    batch_tokens: int
    tokens_per_second: float


@dataclass(frozen=True, slots=True, eq=False)
class LiveModel:
    """A model that serves, and how it was loaded.

    Attributes:
        served: what the tasks work with.
        lanes: its graphs on the scheduler.
        load_seconds: from reading the manifest to the warm-up's end.
        loaded_at: Unix time.
    """

    served: ServedModel
    lanes: Mapping[GraphName, Lane]
    load_seconds: float
    loaded_at: float

    @property
    def version(self) -> str:
        return self.served.version

    def close(self) -> None:
        """Free the graphs of a model that never served."""
        for lane in self.lanes.values():
            lane.session.close()

    def graphs(self) -> dict[GraphName, GraphInfo]:
        """How each graph runs; speeds are the latest measured."""
        return {
            name: GraphInfo(
                lane.session.backend, lane.session.precision, lane.batch_tokens, 1 / lane.seconds_per_token
            )
            for name, lane in self.lanes.items()
        }


class LoadAbandoned(Exception):  # noqa: N818 - named by what happened, as in app.errors
    """Whoever wanted the model wants it no longer; nothing of it is open."""


class Loader:
    """Loads bundles. What was measured for one graph serves all others of its kind."""

    def __init__(
        self, options: LoadOptions, assemble: Callable[[Bundle, Mapping[GraphName, Lane]], ServedModel]
    ) -> None:
        """``assemble`` joins a bundle and its lanes into a served model."""
        self._options = options
        self._assemble = assemble
        self._calibrations: dict[_Kind, Calibration] = {}
        self._backends: dict[_Kind, str] = {}
        # Measuring two graphs at once would measure neither.
        self._measuring = threading.Lock()

    def load(self, directory: Path, abandoned: Callable[[], bool] = lambda: False) -> LiveModel:
        """Verify, open, check and warm up the bundle in ``directory``.

        Args:
            directory: of the version.
            abandoned: asked between the steps; true ends the work.

        Raises:
            BundleError: it cannot be served; nothing of it stays open.
            LoadAbandoned: the caller gave up; nothing of it stays open.
            BackendUnavailable: the backend that was asked for is not installed.
        """
        started = time.perf_counter()
        bundle = read_bundle(directory)
        lanes: dict[GraphName, Lane] = {}
        try:
            for graph in bundle.manifest.graphs:
                if abandoned():
                    raise LoadAbandoned(str(directory))
                lanes[graph] = self._lane(bundle, graph)
            served = self._assemble(bundle, lanes)
            check_vocabulary(bundle, served.encoder)
        except BaseException:
            for lane in lanes.values():
                lane.session.close()
            raise
        return LiveModel(served, lanes, time.perf_counter() - started, time.time())

    def _lane(self, bundle: Bundle, graph: GraphName) -> Lane:
        precision = self._precision(bundle, graph)
        manifest = bundle.manifest
        declared = manifest.graphs[graph]
        chosen = precision or declared.default_precision
        kind = (graph, chosen, declared.may_use("bf16"), manifest.hidden_size, manifest.max_tokens)
        session = self._open(bundle, graph, precision, kind)
        try:
            check_graph(bundle, graph, session)
            probe = sample_rows(GraphShape.of(bundle, graph), 1, PROBE_TOKENS)
            session.run(probe)
            measured = self._calibrated(session, GraphShape.of(bundle, graph), kind)
        except BaseException:
            session.close()
            raise
        return Lane(
            manifest.name,
            graph,
            session,
            measured.batch_tokens,
            measured.seconds_per_token,
            measured.overhead_tokens,
            batch_positions=max(1, POSITION_VALUES // manifest.vocab_size),
            probe=probe[0],
        )

    def _precision(self, bundle: Bundle, graph: GraphName) -> Precision | None:
        """The precision asked for where the bundle has it; None leaves it to the manifest and the backend."""
        declared = bundle.manifest.graphs[graph]
        wanted = self._options.precision
        if wanted is None or wanted in declared.files:
            return wanted
        _log.warning(
            "%s offers its %s in %s only, not in %s; serving %s",
            bundle.path,
            graph,
            ", ".join(sorted(declared.files)),
            wanted,
            declared.default_precision,
        )
        return None

    def _open(self, bundle: Bundle, graph: GraphName, precision: Precision | None, kind: _Kind) -> Session:
        def opened(backend: Backend) -> Session:
            options = self._options
            return open_session(
                bundle,
                graph,
                precision=precision,
                threads=options.threads,
                parallel=options.parallel,
                backend=backend,
            )

        if self._options.backend != "auto":
            return opened(self._options.backend)
        if not openvino_promising():
            return opened("onnxruntime")
        with self._measuring:
            known = self._backends.get(kind)
            session = opened("openvino" if known == "openvino" else "onnxruntime" if known else "auto")
            self._backends[kind] = session.backend
            return session

    def _calibrated(self, session: Session, shape: GraphShape, kind: _Kind) -> Calibration:
        with self._measuring:
            if kind not in self._calibrations:
                self._calibrations[kind] = calibrate(
                    session,
                    shape,
                    seconds=self._options.calibration_seconds,
                    batch_tokens=self._options.batch_tokens,
                    parallel=self._options.parallel,
                )
            return self._calibrations[kind]


async def load_in_thread(loader: Loader, directory: Path) -> LiveModel:
    """:meth:`Loader.load` beside the event loop.

    A caller that is cancelled goes on only when the thread has noticed, which it does between two graphs, and
    what it had opened is closed: so no more loads run at a time than are meant to.
    """
    abandoned = threading.Event()
    loading = asyncio.ensure_future(asyncio.to_thread(loader.load, directory, abandoned.is_set))
    try:
        return await asyncio.shield(loading)
    except asyncio.CancelledError:
        abandoned.set()
        loading.add_done_callback(_close_unwanted)
        await asyncio.wait([loading])
        _log.warning("gave up loading %s: whoever asked for it is gone or out of time", directory)
        raise


def _close_unwanted(loading: asyncio.Future[LiveModel]) -> None:
    if not loading.cancelled() and loading.exception() is None:
        loading.result().close()


def refusal(error: Exception) -> str:
    """One line for the log and the administrator."""
    text = " ".join(str(error).split())
    return text if isinstance(error, BundleError) else f"{type(error).__name__}: {text}"
