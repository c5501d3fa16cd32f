"""The same ``.onnx`` file opened with OpenVINO: bf16 on CPUs with AMX, f32 elsewhere. Needs the extra."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from app.runtime.batch import Outputs, Shape, split
from app.runtime.rows import GraphShape
from app.text.sequence import IntArray, TokenSequence

WIDTH_STEP = 8
"""Rows are padded to multiples of this. OpenVINO prepares kernels for each shape it meets: with every width
from 16 to 512 that never ends, in multiples of 8 it soon does, for 2 % more padding on texts of 200."""
_KERNEL_CACHE = "1024"


class OpenVinoSession:
    """An :class:`app.runtime.batch.Session` over one ``.onnx`` file.

    Args:
        file: the graph; read once, here.
        shape: what the bundle says of the graph.
        precision: of the file; ``fp32`` is computed in bf16 where the CPU has AMX.
        threads: that compute one batch.
        bfloat16: false keeps ``fp32`` in f32 on every CPU.

    Raises:
        ImportError: OpenVINO is not installed.
        RuntimeError: OpenVINO cannot open the file.
    """

    backend = "openvino"

    def __init__(
        self, file: Path, shape: GraphShape, *, precision: str, threads: int, bfloat16: bool = True
    ) -> None:
        import openvino

        core = openvino.Core()
        self.precision = computed_in(precision, bfloat16)
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "CPU_RUNTIME_CACHE_CAPACITY": _KERNEL_CACHE,
            # Under a CPU quota the cores that we may use change; pinned threads would queue for one of them.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            self._model = core.compile_model(core.read_model(str(file)), "CPU", settings)
            self._request = self._model.create_infer_request()
        except Exception as error:  # the library raises bare RuntimeError and worse
            lines = str(error).strip().splitlines()
            raise RuntimeError(f"OpenVINO cannot open it ({lines[-1] if lines else error!r})") from error
        self.max_tokens = shape.max_tokens
        self.input_shapes: dict[str, Shape] = {
            port.any_name: _dimensions(port) for port in self._model.inputs
        }
        self.output_shapes: dict[str, Shape] = {
            port.any_name: _dimensions(port) for port in self._model.outputs
        }
        self._shape = shape
        # It plans its own threads for one batch at a time.
        self._turn = threading.Lock()

    def run(self, sequences: list[TokenSequence]) -> list[Outputs]:
        """See :meth:`app.runtime.batch.Session.run`."""
        feeds = self._widened(self._shape.feeds(sequences))
        with self._turn:
            self._request.infer(feeds, share_inputs=True)
            # Copies: the request's own buffers are overwritten by the next batch.
            arrays = {
                name: np.array(self._request.get_tensor(name).data, np.float32)
                for name in self._shape.outputs
            }
        return split(arrays, sequences, self._shape.layout)

    def close(self) -> None:
        """Free the graph's memory."""
        self.__dict__.pop("_request", None)
        self.__dict__.pop("_model", None)

    def _widened(self, feeds: dict[str, IntArray]) -> dict[str, IntArray]:
        batch, width = feeds["input_ids"].shape
        wide = min(-width % WIDTH_STEP + width, self._shape.max_tokens)
        if wide == width:
            return feeds
        widened: dict[str, IntArray] = {}
        for name, array in feeds.items():
            if name == "positions":
                widened[name] = array // width * wide + array % width
                continue
            grid = np.full((batch, wide), self._shape.pad_id if name == "input_ids" else 0, np.int64)
            grid[:, :width] = array
            widened[name] = grid
        return widened


def computed_in(precision: str, bfloat16: bool) -> str:
    """``bf16`` for an ``fp32`` file where the CPU has AMX and ``bfloat16`` may be used; else as given."""
    return "bf16" if precision == "fp32" and bfloat16 and amx_available() else precision


def amx_available() -> bool:
    """Whether bf16 is computed in tiles (AMX). AVX-512 bf16 alone gains nothing over f32."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False


def _dimensions(port: Any) -> Shape:
    return tuple(d.get_length() if d.is_static else None for d in port.get_partial_shape())
