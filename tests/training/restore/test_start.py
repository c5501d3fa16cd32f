"""Whatever a recipe starts from stands there as a pretraining would have left it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from training.errors import UserError
from training.export.checkpoint import load_checkpoint
from training.pretrain.warmstart import record_of
from training.restore.start import gather


def test_bundles(models: Path, tmp_path: Path) -> None:
    assert gather(models / "encoder", tmp_path / "one") == ["discriminator", "generator"]
    assert gather(models / "classifier" / "1", tmp_path / "two") == ["discriminator"]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["discriminator", "pretrain.json"]
    assert load_checkpoint(tmp_path / "two" / "discriminator").kind == "classifier"


def test_what_a_pretraining_left(material: Path, tmp_path: Path) -> None:
    left = tmp_path / "pretrained"
    for name in ("discriminator", "generator"):
        shutil.copytree(material / name, left / name)
    (left / "pretrain.json").write_text(
        json.dumps({"tokens_seen": 7, "matmul_flops": 9.0, "hardware": "a", "corpus_digest": "c"})
    )
    assert gather(left, tmp_path / "start") == ["discriminator", "generator"]
    assert record_of(tmp_path / "start") == {"tokens_seen": 7, "matmul_flops": 9.0, "hardware": ["a"]}
    assert load_checkpoint(tmp_path / "start" / "generator").kind == "generator"


def test_one_checkpoint_of_others(material: Path, tmp_path: Path) -> None:
    assert gather(material / "discriminator", tmp_path / "start") == ["discriminator"]
    assert load_checkpoint(tmp_path / "start" / "discriminator").kind == "discriminator"
    # What went into it is not known, and nothing is claimed.
    assert record_of(tmp_path / "start") == {}
    assert json.loads((tmp_path / "start" / "pretrain.json").read_text())["tokens_seen"] == 0


def test_nothing_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint directory"):
        gather(tmp_path / "nowhere", tmp_path / "start")
    assert not (tmp_path / "start").exists()
