"""Every step of fine-tuning in seconds: a tiny random model, made-up reviews and clean sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import ElectraConfig, ElectraForPreTraining

from training.finetune.config import CorruptionConfig, FinetuneConfig
from training.finetune.finetune import finetune
from training.finetune.model import save_checkpoint
from training.tokenizer import SPECIAL_TOKENS, untrained

_GOOD = ("味道很好", "非常喜欢", "服务热情", "good and tasty", "价格公道", "very nice")
_BAD = ("味道很差", "非常失望", "服务冷淡", "bad and cold", "价格太贵", "very poor")
_FILL = ("今天点了外卖", "这家店", "我觉得", "the food is", "朋友推荐的", "第二次来")


def reviews(count: int, seed: int) -> list[tuple[str, str]]:
    """Made-up reviews as (label, text)."""
    random = Random(seed)
    rows = []
    for at in range(count):
        label, words = ("positive", _GOOD) if at % 2 else ("negative", _BAD)
        one, two = random.choice(words), random.choice(words)
        rows.append((label, f"{random.choice(_FILL)}，{one}，{two}。{seed} {at}"))
    return rows


def tiny_checkpoint(directory: Path, *, layers: int = 2, hidden: int = 32, seed: int = 0) -> Path:
    """A random ElectraForPreTraining over the characters of ``reviews`` and printable ASCII."""
    characters = sorted(set("".join(_GOOD + _BAD + _FILL) + "，。") | set(map(chr, range(33, 127))))
    letters = [f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    pieces = dict.fromkeys([*SPECIAL_TOKENS, *(c.lower() for c in characters if c.strip()), *letters])
    tokenizer = untrained({piece: at for at, piece in enumerate(pieces)}, lowercase=True, strip_accents=True)
    config = ElectraConfig(
        vocab_size=len(pieces),
        embedding_size=16,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        save_checkpoint(ElectraForPreTraining(config), tokenizer, directory)
    return directory


def dry_run(folder: Path) -> Iterator[str]:
    """Run two seeds with a vote distilled into one model, and the error detector; yields lines to print."""
    checkpoint = str(tiny_checkpoint(folder / "checkpoint"))
    for split, count in (("train", 64), ("dev", 24), ("test", 24)):
        rows = reviews(count, seed=count + len(split))
        lines = ["label\ttext", *(f"{label}\t{text}" for label, text in rows)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    clean = folder / "clean.txt"
    clean.write_text("\n".join(text for _, text in reviews(60, seed=7)) + "\n", encoding="utf-8")
    shared: dict[str, Any] = {
        "checkpoint": checkpoint,
        "epochs": 1.0,
        "batch_size": 16,
        "max_tokens": 48,
        "layer_decay": 1.0,
    }
    classifier = FinetuneConfig(
        **shared,
        train=(str(folder / "train.tsv"),),
        dev=(str(folder / "dev.tsv"),),
        test=(str(folder / "test.tsv"),),
        seeds=(0, 1),
        distill_seeds=True,
    )
    report = finetune(classifier, folder / "classifier", progress=False)
    yield f"classifier: {report['metric']} {report['test'][report['metric']]:.2f} on 24 made-up reviews"
    detector = FinetuneConfig(
        **shared,
        task="error_detection",
        dev_fraction=0.3,
        corruption=CorruptionConfig(text=(str(clean),), error_rate=0.1),
    )
    report = finetune(detector, folder / "detector", progress=False)
    yield f"detector: {report['metric']} {report['dev'][report['metric']]:.2f} on made-up errors"
