"""ROUGE that counts Chinese by character and other scripts by word.

The package's own tokenizer keeps nothing but ``[a-z0-9]``: identical Chinese texts score 0 with it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import regex
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

_UNIT = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}]|[\p{L}\p{M}\p{N}--[\p{Han}\p{Hiragana}\p{Katakana}]]+", regex.V1
)


@dataclass(frozen=True)
class Rouge:
    """F-measures, 0 to 1 (Lin 2004)."""

    rouge1: float
    rouge2: float
    rouge_l: float


class CharacterTokenizer(Tokenizer):
    """One token for each Chinese or Japanese character and for each word of other scripts, in lower case."""

    def tokenize(self, text: str) -> list[str]:
        return rouge_tokens(text)


def rouge_tokens(text: str) -> list[str]:
    """The tokens that ROUGE counts; punctuation is dropped."""
    return _UNIT.findall(text.casefold())


def rouge(prediction: str, reference: str) -> Rouge:
    """ROUGE-1, ROUGE-2 and ROUGE-L of ``prediction`` against ``reference``."""
    scores = _scorer().score(reference, prediction)
    return Rouge(scores["rouge1"].fmeasure, scores["rouge2"].fmeasure, scores["rougeL"].fmeasure)


@functools.cache
def _scorer() -> RougeScorer:
    return RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=CharacterTokenizer())
