"""Graphs against transformers' own forward pass, in shapes that tracing never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from transformers import ElectraConfig, ElectraForTokenClassification

from training.export.checkpoint import Checkpoint, load_checkpoint
from training.export.graphs import ENCODER_OUTPUTS, ClassifierGraph, EncoderGraph, GeneratorGraph, write_graph
from training.export.quantize import quantize_graph
from training.ngrams.fit import fit_ngrams

SHAPES = [(1, 1), (1, 64), (5, 17)]


def batch(rows: int, width: int, vocabulary: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(rows * 100 + width)
    mask = np.ones((rows, width), np.int64)
    for row in range(rows):
        mask[row, max(1, width - 3 * row) :] = 0
    types = np.zeros((rows, width), np.int64)
    types[:, width // 2 :] = 1
    return {
        "input_ids": generator.integers(5, vocabulary, size=(rows, width)),
        "attention_mask": mask,
        "token_type_ids": types,
    }


def run(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feeds)


def tensors(feeds: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in feeds.items()}


@pytest.fixture(scope="module")
def discriminator(material: Path) -> Checkpoint:
    return load_checkpoint(material / "discriminator")


@pytest.mark.parametrize("layers", [[-1], [0], [1, -1], [-2, 2, 0]])
def test_encoder(layers: list[int], discriminator: Checkpoint, tmp_path: Path) -> None:
    write_graph(EncoderGraph(discriminator.model, layers), tmp_path / "model.onnx", ENCODER_OUTPUTS)
    assert [entry.version for entry in onnx.load(tmp_path / "model.onnx").opset_import] == [17]
    for rows, width in SHAPES:
        feeds = batch(rows, width, discriminator.vocab_size)
        logits, hidden = run(tmp_path / "model.onnx", feeds)
        with torch.no_grad():
            truth = discriminator.model(**tensors(feeds), output_hidden_states=True)
        real = feeds["attention_mask"].astype(bool)
        states = torch.stack([truth.hidden_states[layer] for layer in layers]).mean(dim=0).numpy()
        np.testing.assert_allclose(logits[real], truth.logits.numpy()[real], atol=1e-5)
        np.testing.assert_allclose(hidden[real], states[real], atol=1e-5)


def test_generator(material: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(material / "generator")
    write_graph(GeneratorGraph(checkpoint.model), tmp_path / "generator.onnx", ["logits"])
    for rows, width in SHAPES:
        feeds = batch(rows, width, checkpoint.vocab_size)
        positions = np.flatnonzero(feeds["attention_mask"])[::2]
        (logits,) = run(tmp_path / "generator.onnx", feeds | {"positions": positions})
        with torch.no_grad():
            truth = checkpoint.model(**tensors(feeds)).logits.numpy()
        np.testing.assert_allclose(logits, truth.reshape(-1, truth.shape[-1])[positions], atol=1e-4)


def test_classifier(material: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(material / "classifier")
    write_graph(ClassifierGraph(checkpoint.model), tmp_path / "model.onnx", ["logits"])
    for rows, width in SHAPES:
        feeds = batch(rows, width, checkpoint.vocab_size)
        (logits,) = run(tmp_path / "model.onnx", feeds)
        with torch.no_grad():
            truth = checkpoint.model(**tensors(feeds)).logits.numpy()
        np.testing.assert_allclose(logits, truth, atol=1e-5)


def test_a_classifier_with_ngrams(material: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(material / "classifier")
    labels, vocabulary = len(checkpoint.labels), checkpoint.vocab_size
    generator = np.random.default_rng(0)
    rows = [generator.integers(5, vocabulary, size=12) for _ in range(120)]
    targets = np.array([int(row[0]) % labels for row in rows])
    ngrams = fit_ngrams(rows, targets, vocabulary=vocabulary, special=range(5), longest=3, terms=500)
    ngrams.shares.copy_(torch.tensor([0.5, 2.0]))
    write_graph(ClassifierGraph(checkpoint.model, ngrams), tmp_path / "model.onnx", ["logits"])
    quantize_graph(tmp_path / "model.onnx", tmp_path / "model.int8.onnx")
    for count, width in [*SHAPES, (3, 2)]:
        feeds = batch(count, width, vocabulary)
        feeds["input_ids"][:, :6] = rows[0][:6][:width]  # n-grams that are known
        feeds["input_ids"] *= feeds["attention_mask"]  # [PAD] is 0
        (logits,) = run(tmp_path / "model.onnx", feeds)
        (rounded,) = run(tmp_path / "model.int8.onnx", feeds)
        given = tensors(feeds)
        with torch.no_grad():
            network, votes = checkpoint.model(**given).logits.numpy(), ngrams(given["input_ids"]).numpy()
        np.testing.assert_allclose(logits, 0.5 * network + 2 * votes, atol=1e-4)
        # Votes are rounded once, when they are fitted: int8 graphs lose nothing more of them.
        np.testing.assert_allclose(rounded, 0.5 * network + 2 * votes, atol=0.2 * np.abs(network).max())
        alone = [
            run(tmp_path / "model.onnx", {name: row[at : at + 1] for name, row in feeds.items()})
            for at in range(count)
        ]
        np.testing.assert_allclose(logits, np.concatenate([row for (row,) in alone]), atol=1e-4)


def test_a_token_classifier_detects_by_the_difference_of_its_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ElectraConfig(
        vocab_size=60,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=2,
    )
    model = ElectraForTokenClassification(config).eval()
    write_graph(EncoderGraph(model, [-1]), tmp_path / "model.onnx", ENCODER_OUTPUTS)
    feeds = batch(2, 9, 60)
    logits, _ = run(tmp_path / "model.onnx", feeds)
    with torch.no_grad():
        probabilities = torch.softmax(model(**tensors(feeds)).logits, dim=-1)[..., 1].numpy()
    real = feeds["attention_mask"].astype(bool)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[real])), probabilities[real], atol=1e-5)


def test_a_layer_that_does_not_exist(discriminator: Checkpoint) -> None:
    with pytest.raises(ValueError, match="layer 3 does not exist: the model has layers 0 to 2"):
        EncoderGraph(discriminator.model, [3])
