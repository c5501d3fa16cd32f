"""A bundle becomes checkpoints that compute what it serves, and can be trained on and exported again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from app.bundle import MANIFEST_NAME
from app.bundle_files import file_entry, read_bundle, write_manifest
from training.errors import UserError
from training.export import export
from training.export.checkpoint import load_checkpoint, load_matching_tokenizer
from training.export.config import ExportConfig
from training.restore.checkpoint import restore
from training.tokenizer import tokenizer_digest

SHIPPED = Path(__file__).parents[3] / "models"


def logits(directory: Path) -> np.ndarray:
    checkpoint = load_checkpoint(directory)
    ids = torch.arange(40).reshape(2, 20) % 60 + 5
    with torch.no_grad():
        return checkpoint.model(ids).logits.numpy()


def test_both_networks_of_an_encoder(models: Path, material: Path, tmp_path: Path) -> None:
    places = restore(models / "encoder" / "1", tmp_path / "out")
    assert places == [tmp_path / "out" / "discriminator", tmp_path / "out" / "generator"]
    for place in places:
        np.testing.assert_allclose(logits(place), logits(material / place.name), atol=1e-6)
        load_matching_tokenizer(load_checkpoint(place))
    assert tokenizer_digest(places[0]) == tokenizer_digest(material / "discriminator")
    generator = load_checkpoint(places[1]).model
    assert generator.generator_lm_head.weight is generator.electra.embeddings.word_embeddings.weight
    record = json.loads((tmp_path / "out" / "pretrain.json").read_text(encoding="utf-8"))
    assert record["bundle"] == "encoder/1"
    assert record["licence"] == "apache-2.0"
    # The same again replaces it; what else stands somewhere stays.
    assert restore(models / "encoder", tmp_path / "out") == places
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="name another directory"):
        restore(models / "encoder" / "1", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    # What a pretraining left has the same names; and beside what was restored something may have come.
    (tmp_path / "out" / "more").mkdir()
    with pytest.raises(UserError, match="out: holds more, which would be lost"):
        restore(models / "encoder", tmp_path / "out")
    (tmp_path / "out" / "more").rmdir()
    (tmp_path / "out" / "pretrain.json").write_text("{}")
    with pytest.raises(UserError, match="holds networks that were not restored"):
        restore(models / "classifier", tmp_path / "out")
    assert places[0].is_dir()


def test_a_bundle_is_found_wherever_it_stands(models: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(models / "encoder")
    shutil.copytree(models / "encoder" / "1", tmp_path / "a" / "copy")
    (tmp_path / "a" / ".2.tmp").mkdir()
    (tmp_path / "a" / ".2.tmp" / MANIFEST_NAME).write_text("{}")
    for place in ("link", "a/copy", "a"):
        assert len(restore(tmp_path / place, tmp_path / "out")) == 2


def test_a_classifier_keeps_its_labels_and_kind(
    models: Path, material: Path, settings: dict, tmp_path: Path
) -> None:
    (place,) = restore(models / "classifier" / "1", tmp_path / "one")
    np.testing.assert_allclose(logits(place), logits(material / "classifier"), atol=1e-6)
    assert load_checkpoint(place).labels == load_checkpoint(material / "classifier").labels
    several = tmp_path / "several"
    shutil.copytree(material / "classifier", several)
    config = json.loads((several / "config.json").read_text(encoding="utf-8"))
    config["problem_type"] = "multi_label_classification"
    # Not in alphabetical order: what counts is which output is whose.
    config |= {"id2label": {"0": "好", "1": "坏"}, "label2id": {"好": 0, "坏": 1}}
    (several / "config.json").write_text(json.dumps(config), encoding="utf-8")
    made = export(
        ExportConfig(
            name="several", checkpoint=str(several), models_dir=str(tmp_path / "models"), **settings
        ),
        progress=False,
    )
    (place,) = restore(made, tmp_path / "two")
    assert load_checkpoint(place).problem_type == "multi_label"
    assert list(load_checkpoint(place).labels) == ["好", "坏"]


def test_restored_and_exported_it_is_the_same_file(
    models: Path, material: Path, settings: dict, tmp_path: Path
) -> None:
    (place,) = restore(models / "classifier" / "1", tmp_path / "out")
    again = ExportConfig(
        name="classifier",
        checkpoint=str(place),
        models_dir=str(tmp_path / "models"),
        test_data=str(material / "test.tsv"),
        **settings,
    )
    files = [
        read_bundle(bundle).manifest.graphs["model"].files["int8"].sha256
        for bundle in (models / "classifier" / "1", export(again, progress=False))
    ]
    assert files[0] == files[1]


def test_the_bundles_that_ship_can_be_trained_on(tmp_path: Path) -> None:
    for name in ("encoder", "sentiment"):
        for place in restore(SHIPPED / name, tmp_path / name):
            checkpoint = load_checkpoint(place)
            assert checkpoint.max_tokens == 512
            assert checkpoint.model.config.num_hidden_layers == (4 if place.name == "generator" else 12)
    assert load_checkpoint(tmp_path / "sentiment" / "classifier").labels == ["negative", "positive"]


def test_damaged_or_foreign_bundles_are_refused(models: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        restore(tmp_path / "nowhere", tmp_path / "out")
    bundle = tmp_path / "encoder" / "1"
    shutil.copytree(models / "encoder" / "1", bundle)
    file = bundle / "model.onnx"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="differs from its checksum"):
        restore(bundle, tmp_path / "out")

    def change(graph: onnx.ModelProto) -> None:
        onnx.save(graph, file)
        manifest = read_bundle(bundle, verify=False).manifest
        manifest.graphs["model"].files["fp32"] = file_entry(bundle, "model.onnx")
        (bundle / MANIFEST_NAME).unlink()
        write_manifest(bundle, manifest)

    # As an exporter might write it that adds no position to the words.
    other = onnx.load_from_string(whole)
    for tensor in other.graph.initializer:
        if tensor.name.endswith("position_embeddings.weight"):
            tensor.name = "positions"
    for node in other.graph.node:
        node.input[:] = [
            name.replace("model.electra.embeddings.position_embeddings.weight", "positions")
            for name in node.input
        ]
    change(other)
    with pytest.raises(UserError, match=r"as `electra-train export` writes it: .*position_embeddings"):
        restore(bundle, tmp_path / "out")
    # As it is, but with attention weights of another kind; and with another activation.
    other = onnx.load_from_string(whole)
    for node in other.graph.node:
        if node.op_type == "Softmax":
            node.op_type = "LogSoftmax"
    change(other)
    with pytest.raises(UserError, match="computes something else"):
        restore(bundle, tmp_path / "out")
    for node in other.graph.node:
        if node.op_type == "Erf":
            node.op_type = "Tanh"
    change(other)
    with pytest.raises(UserError, match="is no ELECTRA graph"):
        restore(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()
