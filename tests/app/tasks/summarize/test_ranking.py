"""Centrality against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from app.tasks.summarize import ranking
from app.tasks.summarize.ranking import centroid_scores, textrank_scores
from app.tasks.summarize.vectors import normalised


def random_vectors(count: int, dimension: int = 12, seed: int = 0) -> np.ndarray:
    return normalised(np.random.default_rng(seed).normal(0.4, 1, size=(count, dimension)).astype(np.float32))


def dense_pagerank(vectors: np.ndarray) -> np.ndarray:
    """The stationary distribution from the eigenvector of the full Google matrix."""
    similar = (vectors @ vectors.T).astype(np.float64)
    off = ~np.eye(len(vectors), dtype=bool)
    weights = np.where(off, np.maximum(similar - similar[off].mean(), 0), 0)
    strength = weights.sum(axis=1, keepdims=True)
    transition = np.where(strength > 0, weights / np.where(strength > 0, strength, 1), 1 / len(vectors))
    google = 0.85 * transition + 0.15 / len(vectors)
    values, eigenvectors = np.linalg.eig(google.T)
    rank = np.real(eigenvectors[:, np.argmax(np.real(values))])
    return rank / rank[np.argmax(np.abs(rank))]


@pytest.mark.parametrize("count", [3, 8, 40])
def test_textrank_is_pagerank_over_the_whole_graph(count: int) -> None:
    vectors = random_vectors(count)
    assert np.allclose(textrank_scores(vectors), dense_pagerank(vectors), atol=1e-4)


def test_textrank_of_many_sentences_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = random_vectors(300)
    whole = textrank_scores(vectors)
    monkeypatch.setattr(ranking, "_BLOCK_CELLS", 300 * 7)
    assert np.allclose(textrank_scores(vectors), whole, atol=1e-6)
    assert np.corrcoef(whole, dense_pagerank(vectors))[0, 1] > 0.8


def test_textrank_prefers_what_the_text_repeats() -> None:
    common = random_vectors(1)
    vectors = np.concatenate([normalised(common + 0.3 * random_vectors(6)), random_vectors(3, seed=5)])
    scores = textrank_scores(vectors)
    assert scores[:6].min() > scores[6:].max()


def test_textrank_of_few_or_equal_sentences() -> None:
    assert textrank_scores(random_vectors(1)).tolist() == [1]
    assert textrank_scores(random_vectors(2)).tolist() == [1, 1]
    same = np.repeat(random_vectors(1), 5, axis=0)
    assert np.allclose(textrank_scores(same), 1)
    assert np.allclose(textrank_scores(np.zeros((4, 3), np.float32)), 1)


def test_centroid_is_the_cosine_with_the_members_mean() -> None:
    vectors = random_vectors(6)
    members = np.array([0, 2, 3])
    mean = vectors[members].mean(axis=0)
    expected = (1 + vectors @ mean / np.linalg.norm(mean)) / 2
    assert np.allclose(centroid_scores(vectors, members), expected, atol=1e-6)
