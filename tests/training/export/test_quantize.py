"""int8 files: small, close, one copy of tied weights, no product of full-range bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from transformers import ElectraConfig, ElectraForMaskedLM

from app.bundle_files import read_bundle
from training.export.graphs import GeneratorGraph, write_graph
from training.export.quantize import quantize_graph

VOCABULARY = 3000


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A generator with a table large enough to be worth quantising: fp32 and int8."""
    torch.manual_seed(0)
    config = ElectraConfig(
        vocab_size=VOCABULARY,
        embedding_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    directory = tmp_path_factory.mktemp("quantize")
    fp32, int8 = directory / "generator.onnx", directory / "generator.int8.onnx"
    write_graph(GeneratorGraph(ElectraForMaskedLM(config)), fp32, ["logits"])
    quantize_graph(fp32, int8)
    return fp32, int8


def feeds() -> dict[str, np.ndarray]:
    ids = np.random.default_rng(0).integers(5, VOCABULARY, size=(3, 20))
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
        "positions": np.arange(0, 60, 7),
    }


def run(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, feeds())[0]


def weights(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def test_int8_is_close_to_fp32(generator: tuple[Path, Path]) -> None:
    reference, quantized = map(run, generator)
    assert 0 < np.abs(quantized - reference).max() < 0.1 * reference.std() * 4
    assert np.corrcoef(quantized.ravel(), reference.ravel())[0, 1] > 0.995


def test_tied_weights_stand_in_the_file_once(generator: tuple[Path, Path]) -> None:
    for path, item_size in zip(generator, (4, 1), strict=True):
        tables = [array for array in weights(path).values() if VOCABULARY in array.shape and array.ndim == 2]
        assert [array.nbytes for array in tables if array.shape[1] > 1] == [VOCABULARY * 64 * item_size]
    assert generator[1].stat().st_size < 0.4 * generator[0].stat().st_size


def test_weights_of_products_leave_the_top_bit_free(generator: tuple[Path, Path]) -> None:
    products = {
        node.input[1] for node in onnx.load(generator[1]).graph.node if node.op_type == "MatMulInteger"
    }
    arrays = weights(generator[1])
    assert products & arrays.keys()
    for name in products & arrays.keys():
        assert np.abs(arrays[name].astype(int)).max() <= 64


def test_an_untied_table_gets_eight_bits_per_row(models: Path, tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(1500, 4)).astype(np.float32)
    table[7] *= 1000
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"])],
        "lookup",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(table, "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "table.onnx")
    quantize_graph(tmp_path / "table.onnx", tmp_path / "table.int8.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "table.int8.onnx", providers=["CPUExecutionProvider"])
    (rows,) = session.run(None, {"ids": np.arange(1500)})
    # One outlier row must not cost the others their precision.
    np.testing.assert_array_less(np.abs(rows - table).max(axis=1), np.abs(table).max(axis=1) / 200)


def test_static_ranges_come_from_the_feeds(generator: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "static.onnx"
    quantize_graph(generator[0], target, [feeds()])
    operators = {node.op_type for node in onnx.load(target).graph.node}
    assert "DynamicQuantizeLinear" not in operators
    assert "QuantizeLinear" in operators
    assert np.corrcoef(run(target).ravel(), run(generator[0]).ravel())[0, 1] > 0.98


def test_the_scratch_directory_is_gone(models: Path) -> None:
    bundle = read_bundle(models / "encoder" / "1")
    expected = {entry.path for entry in bundle.manifest.files()} | {"bundle.json"}
    assert {path.name for path in bundle.path.iterdir()} == expected
