"""int8 graphs, from fp32 ones as exported (fused graphs do not quantise).

Weights of matrix products get one scale per output column and 7 of the 8 bits: on CPUs without VNNI an
unsigned-by-signed product of full-range bytes saturates at 16 bits, silently and in proportion to how
large the weights are, so that a file measured on one machine would lose quality on another. Embedding
tables get one scale per row and 8 bits. The generator's vocabulary head is its embedding table; the two
share one int8 copy.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

_TABLE_ROWS = 1024  # smaller tables (positions, token types) stay in float: they weigh nothing


def quantize_graph(source: Path, target: Path, feeds: Iterable[dict[str, np.ndarray]] | None = None) -> None:
    """Write the int8 form of ``source`` to ``target`` and check it.

    Args:
        feeds: real input, for activation ranges that are fixed now (static). None measures the range of
            every batch when it runs (dynamic).
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, _quiet():
        products = Path(scratch) / "products.onnx"
        common: dict[str, Any] = {
            "op_types_to_quantize": ["MatMul"],
            "per_channel": True,
            "reduce_range": True,
            "weight_type": QuantType.QInt8,
        }
        if feeds is None:
            quantize_dynamic(source, products, **common)
        else:
            quantize_static(
                source,
                products,
                _Feeds(feeds),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                extra_options={"MatMulConstBOnly": True},
                **common,
            )
        model = onnx.load(products)
    tables = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    for name in sorted(tables):
        _quantize_table(model.graph, name)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


class _Feeds(CalibrationDataReader):
    def __init__(self, feeds: Iterable[dict[str, np.ndarray]]) -> None:
        self._feeds: Iterator[dict[str, np.ndarray]] = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def _quantize_table(graph: onnx.GraphProto, name: str) -> None:
    """Replace ``Gather(table)`` by gathered int8 rows times gathered scales."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    if name not in weights or weights[name].data_type != TensorProto.FLOAT:
        return
    table = numpy_helper.to_array(weights[name])
    others = any(name in node.input and node.op_type != "Gather" for node in graph.node)
    if table.ndim != 2 or len(table) < _TABLE_ROWS or others:
        return
    # A vocabulary head tied to the table is a Gemm that transposes it; the quantiser made that a product
    # with a transposed copy.
    head = f"{name}_Transposed"
    shared = weights.get(f"{head}_quantized")
    if shared is not None:
        # The head's columns are the table's rows: keep the rows, hand the head their transpose.
        rows = numpy_helper.to_array(shared).T
        scales = numpy_helper.to_array(weights[f"{head}_scale"]).reshape(-1, 1)
        zero_points = numpy_helper.to_array(weights[f"{head}_zero_point"])
        if rows.shape != table.shape or scales.shape[0] != len(table) or zero_points.any():
            raise AssertionError(f"the quantiser changed how it stores {head}")
        graph.initializer.remove(shared)
        graph.node.insert(0, helper.make_node("Transpose", [f"{name}_rows"], [shared.name], perm=[1, 0]))
    else:
        scales = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / 127.0
        rows = np.clip(np.round(table / scales), -127, 127).astype(np.int8)
    graph.initializer.remove(weights[name])
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(rows), f"{name}_rows"))
    graph.initializer.append(numpy_helper.from_array(scales.astype(np.float32), f"{name}_scales"))
    for position, node in reversed(list(enumerate(graph.node))):
        if node.op_type != "Gather" or node.input[0] != name:
            continue
        indices, output = node.input[1], node.output[0]
        graph.node.remove(node)
        for new in (
            helper.make_node("Mul", [f"{output}_float", f"{output}_scale"], [output]),
            helper.make_node("Gather", [f"{name}_scales", indices], [f"{output}_scale"], axis=0),
            helper.make_node("Cast", [f"{output}_int8"], [f"{output}_float"], to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}_rows", indices], [f"{output}_int8"], axis=0),
        ):
            graph.node.insert(position, new)


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser logs advice to the root logger that does not fit (pre-processing fuses the graph)."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
