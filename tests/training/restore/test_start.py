"""Whatever a recipe starts from stands there as a pretraining would have left it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from training.errors import UserError
from training.export.checkpoint import load_checkpoint
from training.pretrain.warmstart import record_of
from training.restore.start import gather, read_record


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


@pytest.mark.parametrize(("record", "message"), [("{", "damaged"), ("[1]", "no record of a pretraining")])
def test_a_record_that_is_none(record: str, message: str, material: Path, tmp_path: Path) -> None:
    shutil.copytree(material / "discriminator", tmp_path / "left")
    (tmp_path / "left" / "pretrain.json").write_text(record)
    with pytest.raises(UserError, match=rf"left/pretrain\.json: {message}.*copy it anew"):
        gather(tmp_path / "left", tmp_path / "start")
    assert not (tmp_path / "start").exists()


def test_what_a_record_does_not_tell_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "pretrain.json").write_text('{"tokens_seen": 7}')
    assert read_record(tmp_path / "discriminator")["tokens_seen"] == 7
    assert read_record(tmp_path)["corpus_digest"] == "unknown"
    whole = {"tokens_seen": 7, "corpus_digest": "c", "hardware": "a"}
    (tmp_path / "pretrain.json").write_text(json.dumps(whole))
    assert read_record(tmp_path) == whole, "digests of runs are made of it"


def test_nothing_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint directory"):
        gather(tmp_path / "nowhere", tmp_path / "start")
    assert not (tmp_path / "start").exists()
