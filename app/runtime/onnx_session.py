"""A graph opened with onnxruntime, on the CPU or with the CUDA execution provider."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from app.runtime.batch import Outputs, Shape, split
from app.runtime.rows import GraphShape
from app.text.sequence import TokenSequence

CUDA_PROVIDER = "CUDAExecutionProvider"
_SEVERITY_ERROR = 3


class OnnxSession:
    """An :class:`app.runtime.batch.Session` over one ``.onnx`` file.

    Args:
        file: the graph; it is read once, here, and may be replaced on disk afterwards.
        shape: what the bundle says of the graph.
        precision: of the file, ``fp32`` or ``int8``.
        threads: that compute one batch, the calling one among them.
        spinning: whether idle threads busy-wait for the next operator: faster alone, slower in company.
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
        spinning: bool,
        cuda: bool = False,
    ) -> None:
        options = onnxruntime.SessionOptions()
        # onnxruntime takes the host's cores where it is not told: see app.runtime.threads.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _SEVERITY_ERROR
        # Memory patterns are kept for every shape ever seen. The arena stays on: without it each batch maps
        # and unmaps its tensors, which with texts of all lengths peaked 50 % higher and was no faster.
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = True
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
        providers = [CUDA_PROVIDER, "CPUExecutionProvider"] if cuda else ["CPUExecutionProvider"]
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        except Exception as error:  # the library's exceptions share no base class but this
            raise RuntimeError(f"onnxruntime cannot open it ({_first_line(error)})") from error
        if cuda and CUDA_PROVIDER not in self._session.get_providers():
            raise RuntimeError("onnxruntime could not start CUDA and would have used the CPU instead")
        self.backend = "cuda" if cuda else "onnxruntime"
        self.precision = precision
        self.max_tokens = shape.max_tokens
        self.input_shapes: dict[str, Shape] = {
            node.name: tuple(node.shape) for node in self._session.get_inputs()
        }
        self.output_shapes: dict[str, Shape] = {
            node.name: tuple(node.shape) for node in self._session.get_outputs()
        }
        self._shape = shape

    def run(self, sequences: list[TokenSequence]) -> list[Outputs]:
        """See :meth:`app.runtime.batch.Session.run`."""
        feeds = self._shape.feeds(sequences)
        names = list(self._shape.outputs)
        arrays = self._session.run(names, feeds)
        return split(dict(zip(names, arrays, strict=True)), sequences, self._shape.layout)

    def close(self) -> None:
        """Free the graph's memory."""
        self.__dict__.pop("_session", None)


def cuda_available() -> bool:
    """Whether the installed onnxruntime has the CUDA execution provider."""
    return CUDA_PROVIDER in onnxruntime.get_available_providers()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
