"""A tiny pretraining run that tests share: as a function, and as a process that can be killed.

``python -m tests.training.pretrain.run_here DIRECTORY STEPS`` trains in DIRECTORY/run on what ``prepare``
put there.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from training.corpus import CorpusConfig, SourceConfig, build
from training.pretrain.config import PhaseConfig, PretrainConfig
from training.pretrain.loop import pretrain
from training.synthetic import small_pretrain_config, synthetic_documents
from training.tokenizer import save_tokenizer, train_tokenizer


def prepare(root: Path, documents: int = 300) -> Path:
    """Tokenizer and shards of synthetic text in ``root``; returns it."""
    texts = synthetic_documents(documents)
    root.mkdir(parents=True, exist_ok=True)
    (root / "text.txt").write_text("\n\n".join(texts), encoding="utf-8")
    save_tokenizer(train_tokenizer(texts, 8192), root / "tokenizer")
    corpus = CorpusConfig(sources=(SourceConfig(path=str(root / "text.txt")),), held_out=0.1, workers=1)
    build(corpus, root / "tokenizer" / "tokenizer.json", root / "shards", progress=False)
    return root


# Sizes that the kernels for CPUs take, so that a machine that has them is tested with them.
WHOLE_BLOCKS = {"embedding_size": 32, "hidden_size": 64, "intermediate_size": 128}


def tiny_config(steps: int = 8, **changes: Any) -> PretrainConfig:
    """``steps`` updates with dropout on, so that the random state matters."""
    base = small_pretrain_config()
    model = base.model | WHOLE_BLOCKS | {"hidden_dropout": 0.1, "attention_dropout": 0.1}
    phases = (PhaseConfig(steps=steps, length=32, rows=8),)
    return replace(base, model=model, phases=phases, checkpoint_every=1, evaluate_every=100, **changes)


def train(root: Path, name: str = "run", **options: Any) -> Path:
    """Train in ``root / name``; returns that directory."""
    config = options.pop("config", None) or tiny_config(**options)
    pretrain(config, root / "shards", root / "tokenizer", root / name, progress=False)
    return root / name


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The final weights of both networks."""
    from safetensors.torch import load_file

    return {
        f"{network}/{name}": tensor
        for network in ("discriminator", "generator")
        for name, tensor in load_file(run / "pretrained" / network / "model.safetensors").items()
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    pretrain(
        tiny_config(int(sys.argv[2])), Path(sys.argv[1]) / "shards", Path(sys.argv[1]) / "tokenizer",
        Path(sys.argv[1]) / "run", progress=False,
    )  # fmt: skip
