"""How central a sentence is, 0 to 1: to the document's mean, or in the graph of sentences (TextRank).

TextRank keeps the ``NEIGHBOURS`` most similar sentences of each, found block by block, so that memory is
linear in the number of sentences; up to 65 sentences that is the whole graph.

Sources: Mihalcea and Tarau 2004 (TextRank); Erkan and Radev 2004 (LexRank, the threshold).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.tasks.summarize.vectors import normalised

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

NEIGHBOURS = 64
_BLOCK_CELLS = 1 << 21
_DAMPING = 0.85
_ROUNDS = 100
_TOLERANCE = 1e-6


def unit_interval(cosines: FloatArray) -> FloatArray:
    """Cosines as scores from 0 (opposite) to 1 (the same)."""
    return np.asarray(np.clip((1 + cosines) / 2, 0, 1), np.float32)


def average_cosine(vectors: FloatArray) -> float:
    """Mean cosine over all pairs of two or more unit vectors ``[sentences, dimension]``."""
    total = vectors.sum(axis=0, dtype=np.float64)
    own = np.square(vectors, dtype=np.float64).sum()
    return float((total @ total - own) / (len(vectors) * (len(vectors) - 1)))


def centroid_scores(vectors: FloatArray, members: IntArray) -> FloatArray:
    """Similarity of every sentence to the mean of ``members``; ``vectors [sentences, dimension]``, unit."""
    centre = normalised(vectors[members].mean(axis=0, keepdims=True))[0]
    return unit_interval(vectors @ centre)


def textrank_scores(vectors: FloatArray) -> FloatArray:
    """PageRank of sentences over the similarity of ``vectors [sentences, dimension]``, the greatest being 1.

    An edge weighs how far a pair is more similar than the average pair: encoders give any two sentences a
    high cosine, and only what exceeds it tells them apart.
    """
    count = len(vectors)
    if count < 3:
        return np.ones(count, np.float32)
    average = average_cosine(vectors)
    targets, weights = _neighbours(vectors, min(NEIGHBOURS, count - 1))
    weights = np.maximum(weights - average, 0).astype(np.float64)
    strength = weights.sum(axis=1)
    dangling = strength <= 0
    weights /= np.where(dangling, 1, strength)[:, None]
    flat = targets.reshape(-1)
    rank = np.full(count, 1 / count)
    for _ in range(_ROUNDS):
        votes = np.bincount(flat, (weights * rank[:, None]).reshape(-1), minlength=count)
        updated = (1 - _DAMPING) / count + _DAMPING * (votes + rank[dangling].sum() / count)
        change = np.abs(updated - rank).sum()
        rank = updated
        if change < _TOLERANCE:
            break
    return np.asarray(rank / rank.max(), np.float32)


def _neighbours(vectors: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """The ``count`` most similar others of each sentence, with their cosines ``[sentences, count]``."""
    targets = np.empty((len(vectors), count), np.int64)
    cosines = np.empty((len(vectors), count), np.float32)
    block = max(1, _BLOCK_CELLS // len(vectors))
    for start in range(0, len(vectors), block):
        similar = vectors[start : start + block] @ vectors.T
        rows = np.arange(len(similar))
        similar[rows, start + rows] = -np.inf
        best = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        targets[start : start + block] = best
        cosines[start : start + block] = np.take_along_axis(similar, best, axis=1)
    return targets, cosines
