"""The made-up material is what it says."""

from __future__ import annotations

from pathlib import Path

from training.export.dry_run import LABELS, write_checkpoints
from training.tables import read_table
from training.tokenizer import load_tokenizer


def test_checkpoints_are_the_same_every_time(material: Path, tmp_path: Path) -> None:
    write_checkpoints(tmp_path)
    for name in ("classifier", "discriminator", "generator"):
        weights = (material / name / "model.safetensors").read_bytes()
        assert (tmp_path / name / "model.safetensors").read_bytes() == weights


def test_text_and_table_are_inside_the_vocabulary(material: Path) -> None:
    tokenizer = load_tokenizer(material / "classifier")
    unknown = tokenizer.token_to_id("[UNK]")
    table = read_table(material / "test.tsv")
    assert set(table.labels) == set(LABELS)
    for text in [*table.texts, *(material / "text.txt").read_text(encoding="utf-8").splitlines()]:
        assert unknown not in tokenizer.encode(text).ids
