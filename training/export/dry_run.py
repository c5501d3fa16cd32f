"""Random checkpoints of a few thousand weights and made-up text: every step of an export in seconds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from transformers import (
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    ElectraForSequenceClassification,
)

from training.electra.huggingface import quiet_hub
from training.tokenizer import SPECIAL_TOKENS, save_tokenizer, untrained

_CHARACTERS = (
    "我你他们的了在是有好坏大小天地人中国上下来去吃喝看听说读写书店饭菜新旧快慢今明昨日月年春夏秋冬风雨雪"
    "，。！？"
)
_WORDS = (
    "the",
    "a",
    "good",
    "bad",
    "book",
    "shop",
    "food",
    "new",
    "old",
    "fast",
    "we",
    "read",
    "see",
    "day",
    "of",
)
LABELS = ("坏", "好")


def write_checkpoints(directory: Path, *, max_tokens: int = 64, seed: int = 0) -> None:
    """Write ``classifier``, ``discriminator`` and ``generator`` directories in Hugging Face form."""
    torch.manual_seed(seed)
    tokens = [*SPECIAL_TOKENS, *_CHARACTERS, *_WORDS, *"abcdefghijklmnopqrstuvwxyz0123456789.,!?"]
    tokens += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = untrained(vocabulary, lowercase=True, strip_accents=True)
    sizes: dict[str, Any] = {
        "vocab_size": len(vocabulary),
        "embedding_size": 16,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": max_tokens,
    }
    labels = {"id2label": dict(enumerate(LABELS)), "label2id": {name: i for i, name in enumerate(LABELS)}}
    models = {
        "classifier": ElectraForSequenceClassification(ElectraConfig(**sizes, **labels)),
        "discriminator": ElectraForPreTraining(ElectraConfig(**sizes)),
        "generator": ElectraForMaskedLM(
            ElectraConfig(**(sizes | {"hidden_size": 16, "num_attention_heads": 1, "intermediate_size": 32}))
        ),
    }
    for name, model in models.items():
        for weight in model.parameters():
            if weight.ndim > 1:  # the default scale leaves logits so small that rounding decides
                torch.nn.init.normal_(weight, std=0.2)
        with quiet_hub():
            model.save_pretrained(directory / name)
        save_tokenizer(tokenizer, directory / name)


def write_text(path: Path, sentences: int = 300, seed: int = 0) -> None:
    """Made-up sentences, Chinese and English, one document of ten per line."""
    chance = random.Random(seed)
    documents = []
    for start in range(0, sentences, 10):
        parts = []
        for number in range(start, start + 10):
            if number % 3:
                parts.append("".join(chance.choices(_CHARACTERS[:-4], k=chance.randint(8, 30))) + "。")
            else:
                parts.append(" ".join(chance.choices(_WORDS, k=chance.randint(4, 12))) + ". ")
        documents.append("".join(parts))
    path.write_text("\n".join(documents) + "\n", encoding="utf-8")


def write_table(path: Path, rows: int = 60, seed: int = 0) -> None:
    """A labelled table of made-up sentences for the classifier of :func:`write_checkpoints`."""
    chance = random.Random(seed)
    lines = ["label\ttext"]
    for number in range(rows):
        text = "".join(chance.choices(_CHARACTERS[:-4], k=chance.randint(6, 20)))
        lines.append(f"{LABELS[number % 2]}\t{text}{'好坏'[1 - number % 2] if number % 5 else ''}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
