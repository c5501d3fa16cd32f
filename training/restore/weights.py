"""The weights in an ONNX graph of ours, under the names that Hugging Face gives them.

The exporter keeps the names of everything but the matrices of products, which it transposes; these are found
by the name of the node that uses them, which is the path of the module that it was. int8 values are
multiplied by their scales (``training.export.quantize``), so that what comes back is what is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from training.errors import UserError

_WRAPPER = "model."  # the graphs of training.export.graphs hold the network under this name
_ENDINGS = ("_quant", "_MatMul", "/MatMul", "/Gemm")


@dataclass(frozen=True)
class GraphWeights:
    """What a graph says of the network that it was made of.

    Attributes:
        tensors: float32, by parameter name, such as ``electra.embeddings.word_embeddings.weight``.
        head_size: width of one attention head.
        layer_norm_eps: added to the variance in every LayerNorm.
        last_hidden: name of the value that the last layer puts out, ``[batch, tokens, hidden]``.
    """

    tensors: dict[str, np.ndarray]
    head_size: int
    layer_norm_eps: float
    last_hidden: str

    @property
    def layers(self) -> int:
        """Transformer layers."""
        return len({name.split(".")[3] for name in self.tensors if name.startswith("electra.encoder.layer.")})


def read_weights(file: Path) -> GraphWeights:
    """Read the graph in ``file``, of any precision that a bundle holds.

    Raises:
        UserError: not a graph that ``electra-train export`` writes.
    """
    try:
        graph = onnx.load(file).graph
    except Exception as error:  # protobuf raises exceptions of its own
        raise UserError(f"{file}: cannot be read as ONNX ({error}); copy the bundle again") from None
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        # Equal tensors, such as biases that nobody trained, are stored once.
        if node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
    constants = {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t)
        for node in graph.node
        if node.op_type == "Constant"
    }
    tensors = {
        name.removeprefix(_WRAPPER): value
        for name, value in stored.items()
        if name.startswith(_WRAPPER) and name.endswith((".weight", ".bias")) and value.dtype == np.float32
    }
    for name in [name for name in stored if name.startswith(_WRAPPER) and name.endswith("_rows")]:
        table = name.removesuffix("_rows")
        scales = stored[f"{table}_scales"]
        tensors[table.removeprefix(_WRAPPER)] = stored[name].astype(np.float32) * scales
    for node in graph.node:
        if node.op_type in ("MatMul", "MatMulInteger") and (path := _module_path(node.name)):
            matrix = _matrix(node.input[1], stored, graph)
            if matrix is not None:
                tensors.setdefault(f"{path}.weight", np.ascontiguousarray(matrix.T))
    norms = [node for node in graph.node if node.op_type == "LayerNormalization"]
    scaling = [
        float(constants[value])
        for node in graph.node
        if node.op_type == "Mul" and node.name.endswith("/attention/self/Mul")
        for value in node.input
        if value in constants
    ]
    last = [node.output[0] for node in norms if "/encoder/layer." in node.name]
    # GELU is what ELECTRA has; nothing else would be restored.
    gelu = any(n.op_type == "Erf" and n.name.endswith("/intermediate_act_fn/Erf") for n in graph.node)
    if not scaling or not last or not gelu:
        raise UserError(f"{file}: is no ELECTRA graph that `electra-train export` wrote; give such a bundle")
    epsilon = next(attribute.f for attribute in norms[0].attribute if attribute.name == "epsilon")
    return GraphWeights(
        tensors=tensors,
        head_size=round(scaling[0] ** -2),  # scores are divided by its root
        # As it was written: a float32 of 1e-12 is 9.99999996e-13.
        layer_norm_eps=float(np.format_float_positional(np.float32(epsilon), unique=True)),
        last_hidden=last[-1],
    )


def _module_path(node: str) -> str:
    """``/electra/embeddings_project/MatMul_quant`` -> ``electra.embeddings_project``."""
    for ending in _ENDINGS:
        node = node.removesuffix(ending)
    return node.strip("/").replace("/", ".")


def _matrix(name: str, stored: dict[str, np.ndarray], graph: onnx.GraphProto) -> np.ndarray | None:
    """The constant ``[inputs, outputs]`` that a product takes as ``name``; None if it takes none."""
    values = stored.get(name)
    if values is not None and values.dtype == np.float32:
        return values
    if values is None:  # static int8: DequantizeLinear between the weights and the product
        maker = next((node for node in graph.node if name in node.output), None)
        if maker is None or maker.op_type != "DequantizeLinear" or maker.input[0] not in stored:
            return None
        values, scales = stored[maker.input[0]], stored[maker.input[1]]
    else:
        scales = stored[name.removesuffix("_quantized") + "_scale"]
    # One scale per column; quantize_graph makes them symmetric, without zero points.
    return np.asarray(values.astype(np.float32) * scales.reshape(1, -1))
