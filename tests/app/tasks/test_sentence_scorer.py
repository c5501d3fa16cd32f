"""The scorer's arithmetic against scikit-learn's, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from app import bundle as b
from app.bundle_files import file_entry
from app.tasks.local import local_model
from app.tasks.sentence_scorer import SentenceScorer, feature_size, read_scorer, scorer_arrays
from tests.toy import HIDDEN, toy_bundle


def data(features: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, features)).astype(np.float32)
    return rows, (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0).astype(int)


def test_one_layer_is_logistic_regression() -> None:
    rows, labels = data(5)
    reference = LogisticRegression().fit(rows, labels)
    layer = (reference.coef_.T.astype(np.float32), reference.intercept_.astype(np.float32))
    assert np.allclose(SentenceScorer((layer,)).score(rows), reference.predict_proba(rows)[:, 1], atol=1e-5)


def test_more_layers_are_a_perceptron_with_rectifiers() -> None:
    rows, labels = data(5)
    reference = MLPClassifier((8, 4), solver="lbfgs", max_iter=2000, random_state=0).fit(rows, labels)
    layers = tuple(
        (weight.astype(np.float32), bias.astype(np.float32))
        for weight, bias in zip(reference.coefs_, reference.intercepts_, strict=True)
    )
    assert np.allclose(SentenceScorer(layers).score(rows), reference.predict_proba(rows)[:, 1], atol=1e-4)


def test_extreme_logits_stay_probabilities() -> None:
    scorer = SentenceScorer(((np.full((1, 1), 1e9, np.float32), np.zeros(1, np.float32)),))
    scores = scorer.score(np.array([[1], [-1], [0]], np.float32))
    assert np.allclose(scores, [1, 0, 0.5])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "at least one layer"),
        (((np.zeros((3, 2)), np.zeros(2)),), "gives 2 numbers"),
        (((np.zeros((3, 2)), np.zeros(1)),), "layer 0"),
        (((np.zeros((3, 2)), np.zeros(2)), (np.zeros((3, 1)), np.zeros(1))), "layer 1"),
        (((np.full((3, 1), np.nan), np.zeros(1)),), "not finite"),
    ],
)
def test_layers_that_do_not_fit(layers: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SentenceScorer(layers)


def a_scorer(dimension: int) -> SentenceScorer:
    random = np.random.default_rng(1)
    first = random.normal(size=(feature_size(dimension), 3)).astype(np.float32), np.ones(3, np.float32)
    return SentenceScorer((first, (random.normal(size=(3, 1)).astype(np.float32), np.zeros(1, np.float32))))


def test_arrays_come_back() -> None:
    scorer = a_scorer(4)
    again = read_scorer(scorer_arrays(scorer), 4)
    assert again is not None
    rows = np.random.default_rng(2).normal(size=(9, scorer.features)).astype(np.float32)
    assert np.array_equal(scorer.score(rows), again.score(rows))
    assert read_scorer({}, 4) is None
    assert read_scorer({"other": np.zeros(1)}, 4) is None


def test_arrays_that_do_not_fit() -> None:
    arrays = scorer_arrays(a_scorer(4))
    with pytest.raises(ValueError, match="vectors of 5"):
        read_scorer(arrays, 5)
    del arrays["scorer_bias_1"]
    with pytest.raises(ValueError, match="scorer_bias_1 is missing"):
        read_scorer(arrays, 4)


def add_statistics(root: Path, postprocess: str, **arrays: np.ndarray) -> None:
    np.savez(root / "pooling.npz", mean=np.zeros(HIDDEN, np.float32), **arrays)
    manifest = json.loads((root / b.MANIFEST_NAME).read_text())
    manifest["pooling"]["statistics"] = file_entry(root, "pooling.npz").model_dump()
    manifest["pooling"]["postprocess"] = postprocess
    (root / b.MANIFEST_NAME).write_text(json.dumps(manifest))


def test_the_bundle_carries_it(tmp_path: Path) -> None:
    root = toy_bundle(tmp_path, "toy")
    whitening = np.eye(HIDDEN, 4, dtype=np.float32)
    add_statistics(root, "whiten", whitening=whitening, **scorer_arrays(a_scorer(4)))
    statistics = local_model(root).statistics
    assert statistics is not None
    assert statistics.scorer is not None
    assert statistics.scorer.features == feature_size(4)


def test_a_bundle_with_a_scorer_of_another_size_is_refused(tmp_path: Path) -> None:
    root = toy_bundle(tmp_path, "toy")
    add_statistics(
        root, "centre", whitening=np.eye(HIDDEN, 4, dtype=np.float32), **scorer_arrays(a_scorer(4))
    )
    with pytest.raises(b.BundleError, match="no usable sentence scorer"):
        local_model(root)


def test_a_bundle_that_whitens_without_statistics_is_refused(tmp_path: Path) -> None:
    root = toy_bundle(tmp_path, "toy")
    manifest = json.loads((root / b.MANIFEST_NAME).read_text())
    manifest["pooling"]["postprocess"] = "whiten"
    (root / b.MANIFEST_NAME).write_text(json.dumps(manifest))
    with pytest.raises(b.BundleError, match="ships no statistics"):
        local_model(root)
