"""Dry runs: every step of the real thing on synthetic text, in seconds, in a directory that
is thrown away.
"""

from __future__ import annotations

import json
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.bundle import sha256_of
from training.corpus import CorpusConfig, SourceConfig, build
from training.files import atomic_file
from training.pretrain.config import PhaseConfig, PretrainConfig
from training.recipe import BundleRecipe, Recipe, TokenizerConfig
from training.tokenizer import SPECIAL_TOKENS, save_tokenizer, tokenizer_digest, train_tokenizer, untrained

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
            start=None,
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


def write_synthetic_shards(root: Path, vocab_size: int, documents: int = 4000) -> tuple[Path, Path]:
    """Token shards of random ids whose document lengths are spread as in real text; no text is tokenised.

    Returns:
        Directories of a tokenizer with ``vocab_size`` entries, and of the shards.
    """
    vocabulary = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
    vocabulary |= {f"w{index}": index for index in range(len(vocabulary), vocab_size)}
    save_tokenizer(untrained(vocabulary, lowercase=True, strip_accents=True), root / "tokenizer")
    random_ids = np.random.default_rng(0)
    shards = root / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    entries = []
    for split, count in (("train", documents), ("heldout", max(documents // 50, 8))):
        lengths = np.clip(random_ids.lognormal(4.5, 0.8, count).astype(np.int64), 10, 2000)
        ids = random_ids.integers(5, vocab_size, int(lengths.sum())).astype("<u2")
        ids.tofile(shards / f"{split}.bin")
        np.save(shards / f"{split}.idx.npy", np.concatenate([[0], np.cumsum(lengths)]))
        names = {
            "path": f"{split}.bin",
            "index_path": f"{split}.idx.npy",
            "source": "synthetic",
            "split": split,
        }
        digest = sha256_of(shards / f"{split}.bin")
        entries.append(names | {"documents": count, "tokens": len(ids), "sha256": digest})
    manifest = {
        "schema_version": 1,
        "tokenizer_sha256": tokenizer_digest(root / "tokenizer"),
        "parameters_digest": "synthetic",
        "dtype": "uint16",
        "vocab_size": vocab_size,
        "sources": {"synthetic": {"weight": 1.0}},
        "shards": entries,
    }
    with atomic_file(shards / "manifest.json", "w", encoding="utf-8") as stream:
        json.dump(manifest, stream)
    return root / "tokenizer", shards


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
    if parts.finetune is None or parts.finetune.get("task") == "error_detection":
        # The encoder as pretraining left it; what a recipe adds is rehearsed by that verb's own dry run.
        judged = {"heldout": [str(root / "text.txt")], "heldout_sentences": 20, "resamplings": 100}
        return BundleRecipe(export=export, evaluate=judged)
    tables = {split: [str(root / f"{split}.tsv")] for split in ("train", "dev", "test")}
    test = str(root / "test.tsv")
    before = {"train": tables["train"], "dev": tables["dev"], "epochs": 1.0, "max_tokens": 32}
    taught = {"teacher": "tfidf"} if parts.finetune.get("teacher") == "tfidf" else {}
    return BundleRecipe(
        intermediate=before if parts.intermediate is not None else None,
        finetune={**taught, **tables, "epochs": 1.0, "max_tokens": 32, "baselines": False},
        export=export | {"test_data": test},
        evaluate={"test": test, "train": tables["train"], "resamplings": 100, "latency_texts": 4},
    )
