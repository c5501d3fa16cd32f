"""What goes into a graph comes out of it: every weight, under its own name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from app.bundle_files import read_bundle
from training.errors import UserError
from training.export import export
from training.export.checkpoint import load_checkpoint
from training.export.config import ExportConfig
from training.restore.weights import GraphWeights, read_weights


def truth(directory: Path) -> dict[str, np.ndarray]:
    """Weights of a checkpoint; a table that two modules share stands once."""
    model = load_checkpoint(directory).model
    return {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}


@pytest.mark.parametrize(
    ("bundle", "graph", "checkpoint"),
    [
        ("encoder", "model", "discriminator"),
        ("encoder", "generator", "generator"),
        ("classifier", "model", "classifier"),
    ],
)
def test_float32_comes_back_as_it_was(
    bundle: str, graph: str, checkpoint: str, models: Path, material: Path
) -> None:
    found = read_weights(read_bundle(models / bundle / "1").graph_file(graph, "fp32"))
    expected = truth(material / checkpoint)
    assert found.tensors.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found.tensors[name], values, err_msg=name)
    config = load_checkpoint(material / checkpoint).model.config
    assert found.layers == config.num_hidden_layers
    assert found.head_size == config.hidden_size // config.num_attention_heads
    assert found.layer_norm_eps == config.layer_norm_eps


def close(found: GraphWeights, expected: dict[str, np.ndarray]) -> None:
    # A table of few rows is not made int8, its copy in the vocabulary head is.
    assert found.tensors.keys() - {"generator_lm_head.weight"} == expected.keys()
    for name, values in expected.items():
        # One scale per output, 7 bits: off by half a step of at most a 63rd of the largest value.
        step = np.abs(values).max(axis=-1, keepdims=True) / 63
        assert (np.abs(found.tensors[name] - values) <= 0.51 * step + 1e-9).all(), name


@pytest.mark.parametrize("graph", ["model", "generator"])
def test_int8_comes_back_rounded(graph: str, models: Path, material: Path) -> None:
    found = read_weights(read_bundle(models / "encoder" / "1").graph_file(graph, "int8"))
    close(found, truth(material / ("discriminator" if graph == "model" else graph)))


def test_static_int8_comes_back_too(material: Path, settings: dict, tmp_path: Path) -> None:
    config = ExportConfig(
        name="x",
        checkpoint=str(material / "classifier"),
        models_dir=str(tmp_path),
        test_data=str(material / "test.tsv"),
        int8="static",
        **settings,
    )
    bundle = read_bundle(export(config, progress=False))
    close(read_weights(bundle.graph_file(precision="int8")), truth(material / "classifier"))


def test_what_is_no_graph_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a graph")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph), tmp_path / "relu.onnx")
    with pytest.raises(UserError, match="cannot be read as ONNX"):
        read_weights(tmp_path / "text.onnx")
    with pytest.raises(UserError, match=r"relu.onnx: is no ELECTRA graph"):
        read_weights(tmp_path / "relu.onnx")
