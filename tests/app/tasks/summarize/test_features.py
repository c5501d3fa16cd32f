"""The features that training and serving share."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.sentence_scorer import SCALAR_FEATURES, feature_size
from app.tasks.summarize.features import sentence_features
from app.tasks.summarize.segments import segment_document
from app.tasks.summarize.vectors import normalised
from tests.hard_text import hard_text

TEXT = "今天天气很好，有12度。我们去公园。\n今天的公园很大。The cat sat on the mat."


def vectors_for(count: int, dimension: int = 6) -> np.ndarray:
    return normalised(np.random.default_rng(0).normal(size=(count, dimension)).astype(np.float32))


def column(features: np.ndarray, dimension: int, name: str) -> list[float]:
    return [round(float(value), 4) for value in features[:, 3 * dimension + SCALAR_FEATURES.index(name)]]


def test_vectors_come_first_and_scalars_say_what_they_are_named() -> None:
    segments = segment_document(TEXT)
    vectors = vectors_for(4)
    features = sentence_features(segments, vectors)
    assert features.shape == (4, feature_size(6))
    document = normalised(vectors.mean(axis=0, keepdims=True))[0]
    assert np.allclose(features[:, :6], vectors)
    assert np.allclose(features[:, 6:12], document)
    assert np.allclose(features[:, 12:18], vectors * document)
    assert np.allclose(features[:, 18], vectors @ document, atol=1e-6)
    assert column(features, 6, "relative_position") == [0, 0.3333, 0.6667, 1]
    assert column(features, 6, "inverse_position") == [1, 0.5, 0.3333, 0.25]
    assert column(features, 6, "inverse_from_end") == [0.25, 0.3333, 0.5, 1]
    assert column(features, 6, "first") == [1, 0, 0, 0]
    assert column(features, 6, "last") == [0, 0, 0, 1]
    assert column(features, 6, "paragraph_start") == [1, 0, 1, 0]
    assert column(features, 6, "wide") == [1, 1, 1, 0]
    assert column(features, 6, "digits") == [1, 0, 0, 0]
    assert column(features, 6, "lead_overlap")[0] == 1
    assert column(features, 6, "lead_overlap")[2] > column(features, 6, "lead_overlap")[1] == 0


@given(hard_text.filter(str.strip), st.integers(1, 5))
def test_features_are_finite_and_small(text: str, dimension: int) -> None:
    segments = segment_document(text)
    vectors = vectors_for(len(segments), dimension)
    vectors[::2] = 0
    features = sentence_features(segments, vectors)
    assert np.isfinite(features).all()
    assert np.abs(features).max() <= 2.5
