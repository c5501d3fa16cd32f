"""k-means in NumPy: k-means++ seeding, several starts, no empty cluster, the same answer every time.

Memory is ``block * k`` distances at a time. Work is bounded too: where ``n * k`` is large, the points are
first parted into about ``sqrt(k)`` groups and each group is clustered by itself, so that the cost grows with
``n * sqrt(k)``.

Sources: Lloyd 1982; Arthur and Vassilvitskii 2007 (k-means++, with several candidates for each centre).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

STARTS = 8
ITERATIONS = 30
SEED = 20_003
ONE_LEVEL = 1 << 17
"""Distances per iteration (points times clusters) up to which all clusters are sought at once."""
_BLOCK_CELLS = 1 << 20
_FEWEST_STARTS = 2
_WORK = 1 << 26  # multiplications per iteration over all starts
_SETTLED = 1e-4  # an iteration that lowers the inertia by less than this share is the last


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """Attributes:

    labels: int64 ``[points]``.
    centres: float32 ``[clusters, dimension]``.
    inertia: the sum of squared distances of points from their own centre.
    """

    labels: IntArray
    centres: FloatArray
    inertia: float


def kmeans(points: FloatArray, clusters: int, *, starts: int = STARTS, seed: int = SEED) -> Clustering:
    """Cluster ``points`` (float32 ``[points, dimension]``) into non-empty clusters.

    Where fewer points are distinct than ``clusters``, there are as many clusters as distinct points.
    Clusters are numbered by the first point that is in them.

    Raises:
        ValueError: no points, or ``clusters`` below 1.
    """
    if clusters < 1 or not len(points):
        raise ValueError(f"cannot make {clusters} clusters of {len(points)} points")
    distinct, inverse, counts = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    weights = counts.astype(np.float32)
    count = min(clusters, len(distinct))
    if len(distinct) * count <= ONE_LEVEL:
        labels = _best_of(distinct, weights, count, starts, seed)
    else:
        labels = _two_levels(distinct, weights, count, starts, seed)
    labels = _number_by_appearance(labels[inverse.reshape(-1)])
    centres = _means(points, np.ones(len(points), np.float32), labels, count)
    inertia = float(np.square(points - centres[labels], dtype=np.float64).sum())
    return Clustering(labels, centres, inertia)


def nearest(points: FloatArray, centres: FloatArray) -> tuple[IntArray, FloatArray]:
    """The nearest centre of each point and the squared distance to it, int64 and float32 ``[points]``."""
    labels = np.empty(len(points), np.int64)
    distances = np.empty(len(points), np.float32)
    norms = np.einsum("ij,ij->i", centres, centres)
    block = max(1, _BLOCK_CELLS // len(centres))
    for start in range(0, len(points), block):
        part = points[start : start + block]
        squared = norms - 2 * (part @ centres.T)
        best = squared.argmin(axis=1)
        labels[start : start + block] = best
        own = np.einsum("ij,ij->i", part, part)
        distances[start : start + block] = squared[np.arange(len(part)), best] + own
    return labels, np.maximum(distances, 0)


def _best_of(points: FloatArray, weights: FloatArray, clusters: int, starts: int, seed: int) -> IntArray:
    """Labels of the start with the least inertia; fewer starts where each is costly."""
    if clusters == len(points):
        return np.arange(len(points), dtype=np.int64)
    affordable = max(_FEWEST_STARTS, _WORK // (points.size * clusters))
    best: IntArray | None = None
    least = np.inf
    for start in range(min(starts, affordable)):
        random = np.random.default_rng((seed, start))
        labels, inertia = _lloyd(points, weights, _plus_plus(points, weights, clusters, random))
        if inertia < least:
            best, least = labels, inertia
    assert best is not None
    return best


def _plus_plus(
    points: FloatArray, weights: FloatArray, clusters: int, random: np.random.Generator
) -> FloatArray:
    """First centres: of a few points drawn in proportion to their cost, the one that lowers the cost most."""
    trials = 2 + int(np.log(clusters))
    norms = np.einsum("ij,ij->i", points, points)
    first = int(random.choice(len(points), p=weights / weights.sum(dtype=np.float64)))
    chosen = [first]
    free = np.ones(len(points), bool)
    free[first] = False
    distances = _squared(points, norms, np.array([first]))[0]
    for _ in range(clusters - 1):
        mass = np.where(free, distances * weights, 0).astype(np.float64)
        if not mass.any():  # distances below the resolution of float32: any point that is left
            mass = free.astype(np.float64)
        cumulative = np.cumsum(mass)
        drawn = np.searchsorted(cumulative, random.random(trials) * cumulative[-1], side="right")
        drawn = np.minimum(drawn, np.flatnonzero(mass)[-1])
        candidates = np.minimum(distances, _squared(points, norms, drawn))
        best = int((candidates @ weights).argmin())
        chosen.append(int(drawn[best]))
        free[chosen[-1]] = False
        distances = candidates[best]
    return points[chosen]


def _squared(points: FloatArray, norms: FloatArray, chosen: IntArray) -> FloatArray:
    """Squared distances of all points from ``chosen`` ones, float32 ``[chosen, points]``."""
    return np.maximum(norms[chosen, None] + norms - 2 * (points[chosen] @ points.T), 0)


def _lloyd(points: FloatArray, weights: FloatArray, centres: FloatArray) -> tuple[IntArray, float]:
    """Labels and weighted inertia once they have settled (or after ``ITERATIONS``)."""
    inertia = np.inf
    for _ in range(ITERATIONS):
        labels, distances = nearest(points, centres)
        _fill_empty(labels, distances, len(centres))
        centres = _means(points, weights, labels, len(centres))
        before, inertia = inertia, float(distances @ weights)
        if inertia >= before * (1 - _SETTLED):
            break
    offset = points - centres[labels]
    return labels, float((np.einsum("ij,ij->i", offset, offset) * weights).sum(dtype=np.float64))


def _fill_empty(labels: IntArray, distances: FloatArray, clusters: int) -> None:
    """Give each empty cluster the point that is furthest from its centre and not alone in its cluster."""
    sizes = np.bincount(labels, minlength=clusters)
    empty = np.flatnonzero(sizes == 0)
    if not len(empty):
        return
    furthest = iter(np.argsort(-distances, kind="stable"))
    for cluster in empty:
        point = next(point for point in furthest if sizes[labels[point]] > 1)
        sizes[labels[point]] -= 1
        labels[point] = cluster
        sizes[cluster] = 1


def _means(points: FloatArray, weights: FloatArray, labels: IntArray, clusters: int) -> FloatArray:
    """Weighted mean of each cluster, float32 ``[clusters, dimension]``; no cluster may be empty."""
    order = np.argsort(labels, kind="stable")
    firsts = np.searchsorted(labels[order], np.arange(clusters))
    sums = np.add.reduceat((points * weights[:, None])[order], firsts, axis=0)
    return np.asarray(sums / np.add.reduceat(weights[order], firsts)[:, None], np.float32)


def _two_levels(points: FloatArray, weights: FloatArray, clusters: int, starts: int, seed: int) -> IntArray:
    """Part the points into groups, then each group into its share of ``clusters``."""
    groups = _best_of(points, weights, max(2, round(clusters**0.5)), starts, seed)
    sizes = np.bincount(groups)
    labels = np.empty(len(points), np.int64)
    first = 0
    for group, share in enumerate(_shares(sizes, clusters)):
        members = np.flatnonzero(groups == group)
        own = _best_of(points[members], weights[members], share, _FEWEST_STARTS, seed + group + 1)
        labels[members] = first + own
        first += share
    return labels


def _shares(sizes: IntArray, total: int) -> list[int]:
    """Split ``total`` over groups in proportion to ``sizes``: at least 1, at most the size, exact sum."""
    shares = np.clip(sizes * total // sizes.sum(), 1, sizes)
    while shares.sum() != total:
        wanted = sizes * (total / sizes.sum()) - shares
        if shares.sum() < total:
            shares[np.argmax(np.where(shares < sizes, wanted, -np.inf))] += 1
        else:
            shares[np.argmin(np.where(shares > 1, wanted, np.inf))] -= 1
    return [int(share) for share in shares]


def _number_by_appearance(labels: IntArray) -> IntArray:
    _, firsts, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(firsts), np.int64)
    rank[np.argsort(firsts, kind="stable")] = np.arange(len(firsts))
    return rank[inverse.reshape(-1)]
