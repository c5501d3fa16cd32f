"""What summaries are compared with: sentences chosen without a model, and the best choice there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from app.tasks.summarize.lexical import lexical_similarity, terms
from app.tasks.summarize.ranking import textrank_scores
from training.rouge import rouge_tokens

Chooser = Callable[[Sequence[str], int, str, np.random.Generator], list[int]]
"""Sentences, how many to choose, the reference, a random generator -> indices in text order."""


def lead(sentences: Sequence[str], count: int, reference: str, chance: np.random.Generator) -> list[int]:
    """The first sentences."""
    return list(range(min(count, len(sentences))))


def chosen_at_random(
    sentences: Sequence[str], count: int, reference: str, chance: np.random.Generator
) -> list[int]:
    """Any sentences."""
    return sorted(chance.permutation(len(sentences))[:count].tolist())


def tfidf_centroid(
    sentences: Sequence[str], count: int, reference: str, chance: np.random.Generator
) -> list[int]:
    """The sentences nearest to the sum of all, by TF-IDF over pairs of characters and words."""
    return _best(lexical_similarity(sentences).centrality, count)


def tfidf_textrank(
    sentences: Sequence[str], count: int, reference: str, chance: np.random.Generator
) -> list[int]:
    """PageRank of sentences over the same TF-IDF similarity."""
    try:
        vectors = TfidfVectorizer(analyzer=terms).fit_transform(sentences).toarray()
    except ValueError:  # no term at all
        return lead(sentences, count, reference, chance)
    return _best(textrank_scores(vectors.astype(np.float32)), count)


def oracle(sentences: Sequence[str], count: int, reference: str, chance: np.random.Generator) -> list[int]:
    """Greedily the sentences that raise ROUGE-1 + ROUGE-2 against the reference most (Nallapati et al. 2017).

    Nothing that chooses ``count`` sentences without seeing the reference should be expected to beat it.
    """
    target = rouge_tokens(reference)
    wanted = Counter(target), Counter(pairwise(target))
    pieces = [rouge_tokens(sentence) for sentence in sentences]
    chosen: list[int] = []
    best = 0.0
    while len(chosen) < min(count, len(sentences)):
        candidates = [index for index in range(len(sentences)) if index not in chosen]
        scores = {index: _overlap(pieces, sorted([*chosen, index]), wanted) for index in candidates}
        index = max(candidates, key=lambda candidate: scores[candidate])
        if chosen and scores[index] <= best:
            break
        best = scores[index]
        chosen.append(index)
    return sorted(chosen)


BASELINES: dict[str, Chooser] = {
    "oracle": oracle,
    "lead": lead,
    "TF-IDF centroid": tfidf_centroid,
    "TF-IDF TextRank": tfidf_textrank,
    "random": chosen_at_random,
}


def _best(scores: np.ndarray, count: int) -> list[int]:
    return sorted(np.argsort(-scores, kind="stable")[:count].tolist())


def _overlap(pieces: Sequence[list[str]], chosen: Sequence[int], wanted: Sequence[Counter[Any]]) -> float:
    tokens = [token for index in chosen for token in pieces[index]]
    total = 0.0
    found: Sequence[Counter[Any]] = (Counter(tokens), Counter(pairwise(tokens)))
    for have, want in zip(found, wanted, strict=True):
        hits = (have & want).total()
        total += 2 * hits / max(have.total() + want.total(), 1)
    return total
