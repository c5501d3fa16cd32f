"""Checkpoints of every usual kind are loaded; what is none is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ElectraForSequenceClassification, ElectraModel

from training.errors import UserError
from training.finetune.model import load_model, save_checkpoint
from training.tokenizer import load_tokenizer


def test_pretrained_bare_and_fine_tuned_checkpoints_share_their_encoder(
    checkpoint: Path, tmp_path: Path
) -> None:
    first = load_model(checkpoint, "single_label", ["a", "b"])
    tokenizer = load_tokenizer(checkpoint)
    save_checkpoint(first, tokenizer, tmp_path / "tuned")
    bare: ElectraModel = first.electra
    save_checkpoint(bare, tokenizer, tmp_path / "bare")
    for directory in (tmp_path / "tuned", tmp_path / "bare"):
        again = load_model(directory, "token_labels", ["x", "y", "z"])
        for name, value in first.electra.state_dict().items():
            torch.testing.assert_close(again.electra.state_dict()[name], value)
    same = load_model(tmp_path / "tuned", "single_label", ["a", "b"])
    torch.testing.assert_close(same.classifier.out_proj.weight, first.classifier.out_proj.weight)
    other = load_model(tmp_path / "tuned", "single_label", ["c", "d"])
    assert not torch.equal(other.classifier.out_proj.weight, first.classifier.out_proj.weight)


def test_dropout_is_set(checkpoint: Path) -> None:
    model = load_model(checkpoint, "single_label", ["a", "b"], dropout=0.3)
    assert model.electra.encoder.layer[0].output.dropout.p == 0.3


def test_weights_that_are_not_whole_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    directory = tmp_path / "broken"
    shutil.copytree(checkpoint, directory)
    weights = load_file(directory / "model.safetensors")
    name = "electra.encoder.layer.1.output.dense.weight"
    save_file({k: v for k, v in weights.items() if k != name}, directory / "model.safetensors")
    with pytest.raises(UserError, match=rf"1 encoder weights are missing .*{name}"):
        load_model(directory, "single_label", ["a", "b"])
    (directory / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="weights cannot be loaded"):
        load_model(directory, "single_label", ["a", "b"])
    (directory / "model.safetensors").unlink()
    with pytest.raises(UserError, match="weights cannot be loaded"):
        load_model(directory, "single_label", ["a", "b"])
    (directory / "config.json").unlink()
    with pytest.raises(UserError, match=r"has no config\.json"):
        load_model(directory, "single_label", ["a", "b"])


def test_labels_stand_in_the_saved_config(checkpoint: Path, tmp_path: Path) -> None:
    model = load_model(checkpoint, "multi_label", ["好", "坏"])
    save_checkpoint(model, load_tokenizer(checkpoint), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "好", "1": "坏"}
    assert isinstance(ElectraForSequenceClassification.from_pretrained(tmp_path / "out"), torch.nn.Module)
