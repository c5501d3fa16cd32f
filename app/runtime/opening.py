"""Open a bundle's graph with the backend that was asked for, or with the one that measures faster."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from typing import Literal, get_args

from app.bundle import Bundle, BundleError, GraphName, Precision
from app.runtime.batch import Session
from app.runtime.out_of_memory import reraise_out_of_memory
from app.runtime.rows import GraphShape
from app.runtime.threads import available_threads

Backend = Literal["auto", "onnxruntime", "openvino", "cuda"]

_log = logging.getLogger(__name__)


class BackendUnavailable(Exception):  # noqa: N818 - named by what happened
    """The backend that was asked for is not installed here. The message is one line with the cure."""


def open_session(
    bundle: Bundle,
    graph: GraphName = "model",
    *,
    precision: Precision | None = None,
    threads: int | None = None,
    backend: Backend = "onnxruntime",
    parallel: int = 1,
) -> Session:
    """Open ``graph`` of a verified bundle.

    Args:
        precision: which of the bundle's files; by default the one that its manifest names as the best, and
            for OpenVINO fp32: it runs int8 files of the dynamic kind at half of onnxruntime's speed.
        threads: by default the CPU quota of this process.
        backend: ``auto`` is onnxruntime, unless OpenVINO is installed and the CPU has AMX: then both are
            timed for a moment and the faster is kept. Without AMX they differ by 4 %, and OpenVINO needs
            170 MB more.
        parallel: batches that will run at once (see :class:`app.runtime.onnx_session.OnnxSession`).

    Raises:
        BundleError: the bundle lacks the graph or precision, or the file cannot be opened.
        BackendUnavailable: the backend is not installed.
        MemoryError: there is not enough of it now.
    """
    if backend not in get_args(Backend):
        raise BackendUnavailable(f"backend {backend!r} is none of {', '.join(get_args(Backend))}")
    file = bundle.graph_file(graph, precision)
    shape = GraphShape.of(bundle, graph)
    declared = bundle.manifest.graphs[graph]
    count = threads or available_threads()

    def onnxruntime(cuda: bool = False) -> Session:
        from app.runtime.onnx_session import OnnxSession, cuda_available

        if cuda and not cuda_available():
            raise BackendUnavailable(
                "backend cuda: this onnxruntime has no CUDA; pip install onnxruntime-gpu in its place"
            )
        return OnnxSession(
            file,
            shape,
            precision=precision or declared.default_precision,
            threads=count,
            parallel=parallel,
            cuda=cuda,
        )

    def openvino() -> Session:
        from app.runtime.openvino_session import OpenVinoSession

        best = precision or ("fp32" if "fp32" in declared.files else declared.default_precision)
        return OpenVinoSession(
            bundle.graph_file(graph, best),
            shape,
            precision=best,
            threads=count,
            bfloat16=declared.may_use("bf16"),
        )

    if backend == "openvino" and not openvino_installed():
        raise BackendUnavailable("backend openvino: not installed; pip install 'electra-platform[openvino]'")
    openers: dict[str, Callable[[], Session]] = {
        "onnxruntime": onnxruntime,
        "openvino": openvino,
        "cuda": lambda: onnxruntime(cuda=True),
    }
    try:
        if backend == "auto":
            return _fastest([onnxruntime, openvino] if openvino_promising() else [onnxruntime], shape)
        return openers[backend]()
    except RuntimeError as error:
        reraise_out_of_memory(error)
        raise BundleError(file, str(error), "export the bundle again, or choose another backend") from error


def openvino_installed() -> bool:
    """Whether the ``openvino`` extra is there."""
    return importlib.util.find_spec("openvino") is not None


def openvino_promising() -> bool:
    """Whether OpenVINO can be expected to win here."""
    from app.runtime.openvino_session import amx_available

    return openvino_installed() and amx_available()


def _fastest(openers: list[Callable[[], Session]], shape: GraphShape) -> Session:
    """Open all, time all in turns, keep the fastest; one that cannot be opened drops out with a warning."""
    from app.runtime.calibrate import race

    sessions: list[Session] = []
    for number, opener in enumerate(openers):
        try:
            sessions.append(opener())
        except RuntimeError as error:
            if number == 0:
                raise
            _log.warning("a backend dropped out of the choice: %s", error)
    winner = race(sessions, shape)
    for session in sessions:
        if session is not winner:
            session.close()
    return winner
