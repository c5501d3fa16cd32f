"""Made-up text and shards, and the smallest configuration, for dry runs, benchmarks and tests."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

from app.bundle_files import sha256_of
from training.corpus import CorpusConfig, SourceConfig, build
from training.files import atomic_file
from training.pretrain.config import PhaseConfig, PretrainConfig
from training.tokenizer import SPECIAL_TOKENS, save_tokenizer, tokenizer_digest, train_tokenizer, untrained

PARTS = (
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


def synthetic_documents(count: int, seed: int = 0) -> list[str]:
    """Sentences without sense but with words in them."""
    draw = random.Random(seed)
    return ["，".join(draw.choices(PARTS, k=12)) + "。" for _ in range(count)]


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
