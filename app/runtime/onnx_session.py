"""A graph opened with onnxruntime, on the CPU or with the CUDA execution provider."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import onnxruntime

from app.runtime.batch import Outputs, Shape, split
from app.runtime.rows import GraphShape
from app.text.sequence import TokenSequence

CUDA_PROVIDER = "CUDAExecutionProvider"
_SEVERITY_ERROR = 3
_registering = threading.Lock()


class OnnxSession:
    """An :class:`app.runtime.batch.Session` over one ``.onnx`` file.

    On a CPU the graph is opened twice. A batch that is alone has all threads, which busy-wait for the next
    operator: that makes it sooner ready. Batches that run beside each other have a thread each, or their
    share, and nobody waits for anybody: that makes more of them in a second, at the cost of the weights'
    memory a second time.

    Args:
        file: the graph; it is read once, here, and may be replaced on disk afterwards.
        shape: what the bundle says of the graph.
        precision: of the file, ``fp32`` or ``int8``.
        threads: that compute a batch, the calling one among them.
        parallel: batches that are to run at once on them.
        cuda: compute on the GPU; operators that it lacks still run on the CPU.

    Raises:
        RuntimeError: onnxruntime cannot open the file, or the GPU cannot be used.
    """

    def __init__(
        self,
        file: Path,
        shape: GraphShape,
        *,
        precision: str,
        threads: int,
        parallel: int = 1,
        cuda: bool = False,
    ) -> None:
        self._alone = self._beside = _open(file, threads, spinning=threads > 1, cuda=cuda)
        if parallel > 1 and threads > 1 and not cuda:
            self._beside = _open(file, math.ceil(threads / parallel), spinning=False)
        self._running = 0
        self._counting = threading.Lock()
        # Two batches at once would need twice the memory of the GPU, and gain nothing.
        self._turn = threading.Lock() if cuda else contextlib.nullcontext()
        self.backend = "cuda" if cuda else "onnxruntime"
        self.precision = precision
        self.max_tokens = shape.max_tokens
        self.input_shapes: dict[str, Shape] = {
            node.name: tuple(node.shape) for node in self._alone.get_inputs()
        }
        self.output_shapes: dict[str, Shape] = {
            node.name: tuple(node.shape) for node in self._alone.get_outputs()
        }
        self._shape = shape

    def run(self, sequences: list[TokenSequence]) -> list[Outputs]:
        """See :meth:`app.runtime.batch.Session.run`."""
        feeds = self._shape.feeds(sequences)
        names = list(self._shape.outputs)
        with self._turn, self._one_more() as session:
            arrays = session.run(names, feeds)
        return split(dict(zip(names, arrays, strict=True)), sequences, self._shape.layout)

    def close(self) -> None:
        """Free the graph's memory."""
        self.__dict__.pop("_alone", None)
        self.__dict__.pop("_beside", None)

    @contextlib.contextmanager
    def _one_more(self) -> Iterator[onnxruntime.InferenceSession]:
        with self._counting:
            self._running += 1
            session = self._alone if self._running == 1 else self._beside
        try:
            yield session
        finally:
            with self._counting:
                self._running -= 1


@functools.cache
def _share_arena() -> None:
    """One arena for all graphs of the process: it grows to what runs at once, not to the sum of all peaks."""
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo(
            "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
        ),
        onnxruntime.OrtArenaCfg({"arena_extend_strategy": 1}),
    )


def _open(file: Path, threads: int, *, spinning: bool, cuda: bool = False) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # onnxruntime takes the host's cores where it is not told: see app.runtime.threads.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SEVERITY_ERROR
    # Memory patterns are kept for every shape ever seen. The arena stays on: without it each batch maps
    # and unmaps its tensors, which with texts of all lengths peaked 50 % higher and was no faster.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = True
    if not cuda:
        # Models are loaded on several threads, and a second registration is an error.
        with _registering:
            _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Weights outside the arena are given back when a model is unloaded.
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    providers = [CUDA_PROVIDER, "CPUExecutionProvider"] if cuda else ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # the library's exceptions share no base class but this
        raise RuntimeError(f"onnxruntime cannot open it ({_first_line(error)})") from error
    if cuda and CUDA_PROVIDER not in session.get_providers():
        raise RuntimeError("onnxruntime could not start CUDA and would have used the CPU instead")
    return session


def cuda_available() -> bool:
    """Whether the installed onnxruntime has the CUDA execution provider."""
    return CUDA_PROVIDER in onnxruntime.get_available_providers()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
