"""The dry run's material is what it says."""

from __future__ import annotations

from pathlib import Path

from training.finetune.dry_run import reviews, tiny_checkpoint
from training.tokenizer import load_tokenizer


def test_reviews_are_balanced_and_known_to_the_vocabulary(checkpoint: Path) -> None:
    rows = reviews(40, seed=3)
    assert sum(label == "positive" for label, _ in rows) == 20
    assert rows == reviews(40, seed=3) != reviews(40, seed=4)
    tokenizer = load_tokenizer(checkpoint)
    assert all("[UNK]" not in tokenizer.encode(text).tokens for _, text in rows)


def test_tiny_checkpoints_repeat(tmp_path: Path) -> None:
    weights = [(tiny_checkpoint(tmp_path / name) / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
