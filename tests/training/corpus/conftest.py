from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toy import WORDS, toy_tokenizer

MakeTexts = Callable[..., list[str]]


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tokenizer that knows a few Chinese characters and English letters."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    toy_tokenizer().save(str(path))
    return path


@pytest.fixture(scope="session")
def make_texts() -> MakeTexts:
    """``make_texts(count, words=40, seed=0)``: documents of random known words, all different."""
    words = [word for word in WORDS if not word.startswith("##") and word.isalnum()]

    def make(count: int, words_each: int = 40, seed: int = 0) -> list[str]:
        draw = random.Random(seed)
        return [
            f"{seed} {number} " + " ".join(draw.choices(words, k=draw.randint(words_each // 2, words_each)))
            for number in range(count)
        ]

    return make
