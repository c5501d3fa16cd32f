"""Our k-means against scikit-learn's, and what must hold for any points."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from app.tasks.summarize import kmeans as module
from app.tasks.summarize.kmeans import kmeans, nearest

points_with_ties = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 30), st.integers(1, 4)),
    elements=st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-6, 3.25]),
)


def unit(points: np.ndarray) -> np.ndarray:
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def blobs(
    count: int, clusters: int, dimension: int, spread: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(clusters, dimension))
    truth = random.integers(clusters, size=count)
    return (centres[truth] + spread * random.normal(size=(count, dimension))).astype(np.float32), truth


def test_finds_separated_clusters() -> None:
    points, truth = blobs(300, 6, 16, 0.05)
    assert adjusted_rand_score(truth, kmeans(points, 6).labels) == 1.0


@pytest.mark.parametrize(("count", "clusters", "spread"), [(60, 5, 0.6), (200, 12, 1.0), (400, 40, 1.0)])
def test_inertia_is_scikit_learns(count: int, clusters: int, spread: float) -> None:
    points = unit(blobs(count, clusters, 24, spread)[0])
    reference = KMeans(clusters, n_init=8, random_state=0).fit(points)
    ours = kmeans(points, clusters)
    assert ours.inertia <= 1.03 * reference.inertia_
    scored = float(-reference.set_params(n_init=1).fit(points, sample_weight=None).score(points))
    assert scored > 0


def test_labels_and_centres_are_a_fixed_point_of_scikit_learns_lloyd() -> None:
    points = unit(blobs(150, 8, 8, 0.8)[0])
    ours = kmeans(points, 8)
    reference = KMeans(8, init=ours.centres, n_init=1, max_iter=1).fit(points)
    assert np.array_equal(reference.labels_, ours.labels)
    assert reference.inertia_ == pytest.approx(ours.inertia, rel=1e-4)


@given(points_with_ties, st.integers(1, 40))
def test_no_cluster_is_empty_and_copies_stay_together(points: np.ndarray, clusters: int) -> None:
    result = kmeans(points, clusters)
    distinct = len(np.unique(points, axis=0))
    count = min(clusters, distinct)
    assert sorted(set(result.labels.tolist())) == list(range(count))
    assert result.centres.shape == (count, points.shape[1])
    assert np.isfinite(result.centres).all()
    for row in np.unique(points, axis=0):
        assert len(set(result.labels[(points == row).all(axis=1)].tolist())) == 1
    if clusters >= distinct:
        assert result.inertia == pytest.approx(0, abs=1e-9)


@given(points_with_ties, st.integers(1, 8))
@settings(max_examples=30)
def test_same_points_same_answer_numbered_by_first_appearance(points: np.ndarray, clusters: int) -> None:
    first, second = kmeans(points, clusters), kmeans(points.copy(), clusters)
    assert np.array_equal(first.labels, second.labels)
    firsts = [int(np.flatnonzero(first.labels == label)[0]) for label in range(len(first.centres))]
    assert firsts == sorted(firsts)


def test_more_starts_are_not_worse() -> None:
    points = unit(blobs(120, 10, 12, 1.0)[0])
    assert kmeans(points, 10, starts=8).inertia <= kmeans(points, 10, starts=1).inertia


def test_two_levels_bound_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    points = unit(blobs(3000, 50, 32, 0.7)[0])
    started = time.process_time()
    result = kmeans(points, 900)
    assert time.process_time() - started < 20
    assert sorted(set(result.labels.tolist())) == list(range(900))
    small = points[:400]
    whole = kmeans(small, 40).inertia
    monkeypatch.setattr(module, "ONE_LEVEL", 100)
    parted = kmeans(small, 40)
    assert len(parted.centres) == 40
    assert parted.inertia < 1.25 * whole


def test_nearest_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    points = blobs(100, 5, 8, 1.0)[0]
    whole = nearest(points, points[:7])
    monkeypatch.setattr(module, "_BLOCK_CELLS", 21)
    parted = nearest(points, points[:7])
    assert np.array_equal(whole[0], parted[0])
    assert np.allclose(whole[1], parted[1], atol=1e-5)


def test_impossible_requests() -> None:
    with pytest.raises(ValueError, match="0 clusters"):
        kmeans(np.zeros((3, 2), np.float32), 0)
    with pytest.raises(ValueError, match="0 points"):
        kmeans(np.zeros((0, 2), np.float32), 1)
