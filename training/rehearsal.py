"""Dry runs: every step of the real thing on synthetic text, in seconds, in a directory that
is thrown away.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path

from training.corpus import CorpusConfig, SourceConfig, build
from training.pretrain.config import PhaseConfig, PretrainConfig
from training.recipe import BundleRecipe, Recipe, TokenizerConfig
from training.tokenizer import save_tokenizer, train_tokenizer

_PARTS = (
    "今天",
    "天气",
    "很好",
    "我们",
    "喜欢",
    "苹果",
    "公园",
    "the cat",
    "sat on",
    "a mat",
    "good",
    "phone",
    "2024",
)
_GOOD, _BAD = ("很好吃", "喜欢", "满意", "great"), ("难吃", "讨厌", "失望", "awful")


def synthetic_documents(count: int, seed: int = 0) -> list[str]:
    """Sentences without sense but with words in them."""
    draw = random.Random(seed)
    return ["，".join(draw.choices(_PARTS, k=12)) + "。" for _ in range(count)]


def rehearse(recipe: Recipe) -> int:
    """Run all stages of ``recipe`` on synthetic text with a very small model; returns the exit code."""
    from training.run import run_recipe

    with tempfile.TemporaryDirectory(prefix="electra-dry-run-") as scratch:
        root = Path(scratch)
        _write_inputs(root)
        bundles = {name: _small_bundle(root, parts) for name, parts in recipe.bundles.items()}
        small = replace(
            recipe,
            output=str(root / "runs"),
            models=str(root / "models"),
            corpus=CorpusConfig(sources=(SourceConfig(path=str(root / "text.txt")),), held_out=0.1),
            tokenizer=TokenizerConfig(vocab_size=8192, characters=100_000),
            pretrain=small_pretrain_config(),
            bundles=bundles,
        )
        published = run_recipe(small, root / "recipe.yaml", progress=False)
    print(f"dry run: every stage passed, {len(published)} bundle(s) made and thrown away")
    return 0


def small_pretrain_config() -> PretrainConfig:
    """Six steps of a model of two narrow layers."""
    sizes = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    return PretrainConfig(
        preset="tiny",
        model=sizes
        | {
            "embedding_size": 16,
            "generator_fraction": 0.5,
            "max_position_embeddings": 128,
            "generator_layers": 2,
        },
        phases=(PhaseConfig(steps=4, length=32, rows=8), PhaseConfig(steps=2, length=64, rows=4)),
        warmup_steps=2,
        log_every=2,
        evaluate_every=3,
        checkpoint_every=3,
        evaluation_rows=8,
    )


def rehearse_pretraining(root: Path) -> Path:
    """Tokenizer, shards and pretraining on synthetic text; returns the directory of both networks."""
    from training.pretrain.loop import pretrain

    texts = synthetic_documents(400)
    (root / "text.txt").write_text("\n\n".join(texts), encoding="utf-8")
    save_tokenizer(train_tokenizer(texts, 8192), root / "tokenizer")
    corpus = CorpusConfig(sources=(SourceConfig(path=str(root / "text.txt")),), held_out=0.1)
    build(corpus, root / "tokenizer" / "tokenizer.json", root / "shards", progress=False)
    return pretrain(small_pretrain_config(), root / "shards", root / "tokenizer", root / "run")


def _write_inputs(root: Path) -> None:
    (root / "text.txt").write_text("\n\n".join(synthetic_documents(400)), encoding="utf-8")
    draw = random.Random(1)
    for split, rows in (("train", 80), ("dev", 20), ("test", 40)):
        lines = ["label\ttext"]
        for number in range(rows):
            words = _GOOD if number % 2 else _BAD
            lines.append(
                f"{'good' if number % 2 else 'bad'}\t{draw.choice(_PARTS)}{draw.choice(words)}{number}。"
            )
        (root / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _small_bundle(root: Path, parts: BundleRecipe) -> BundleRecipe:
    export = {
        "parity_texts": 8,
        "quality_rows": 64,
        "texts": [str(root / "text.txt")],
        "allow_quality_loss": True,
    }
    if parts.finetune is None:
        return BundleRecipe(
            None, export, {"heldout": [str(root / "text.txt")], "heldout_sentences": 20, "resamplings": 100}
        )
    tables = {split: [str(root / f"{split}.tsv")] for split in ("train", "dev", "test")}
    return BundleRecipe(
        {**tables, "epochs": 1.0, "max_tokens": 32, "baselines": False},
        export | {"test_data": str(root / "test.tsv")},
        {"test": str(root / "test.tsv"), "train": tables["train"], "resamplings": 100, "latency_texts": 4},
    )
