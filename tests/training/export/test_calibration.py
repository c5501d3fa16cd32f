"""Temperature and thresholds against exhaustive search and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import fbeta_score

from training.export.calibration import best_threshold, fit_calibration, fit_temperature


def noisy(count: int, seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose sigmoid is the true probability, times ``scale``; and labels drawn from it."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-2.0, 2.0, size=count)
    return logits * scale, generator.random(count) < expit(logits)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_known_scale(scale: float) -> None:
    logits, labels = noisy(40_000, seed=1, scale=scale)
    assert fit_temperature(logits, labels) == pytest.approx(scale, rel=0.06)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40),
    st.sampled_from([0.5, 1.0, 2.0]),
)
@settings(max_examples=80, deadline=None)
def test_no_threshold_has_a_greater_f_score(rows: list[tuple[int, bool]], beta: float) -> None:
    scores = np.array([score / 8 for score, _ in rows])
    labels = np.array([label for _, label in rows])
    if not labels.any():
        return
    found = best_threshold(scores, labels, beta=beta)
    value = fbeta_score(labels, scores >= found, beta=beta, zero_division=0.0)
    for threshold in np.unique(scores):
        other = fbeta_score(labels, scores >= threshold, beta=beta, zero_division=0.0)
        assert value >= other - 1e-12


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.001, 0.01, 0.2]))
@settings(max_examples=50, deadline=None)
def test_the_bound_on_false_positives_holds(seed: int, bound: float) -> None:
    logits, labels = noisy(500, seed)
    scores = expit(logits)
    flagged = scores >= best_threshold(scores, labels, beta=0.5, max_false_positive_rate=bound)
    assert (flagged & ~labels).sum() <= bound * (~labels).sum()


def test_names_keep_their_promise_of_order() -> None:
    for seed in range(20):
        logits, labels = noisy(60, seed)
        thresholds = fit_calibration(logits, labels, fitted_on="noise").thresholds
        assert thresholds["sensitive"] <= thresholds["balanced"] <= thresholds["precise"]


def test_thresholds_are_of_calibrated_scores_each_by_its_own_measure() -> None:
    logits, labels = noisy(4000, seed=5, scale=3.0)
    found = fit_calibration(logits, labels, fitted_on="noise", max_false_positive_rate=0.005)
    scores = expit(logits / found.temperature)
    assert found.thresholds == pytest.approx(
        {
            "balanced": best_threshold(scores, labels, beta=1.0),
            "precise": best_threshold(scores, labels, beta=0.5, max_false_positive_rate=0.005),
            "sensitive": best_threshold(scores, labels, beta=2.0),
        }
    )
    assert found.thresholds["precise"] > best_threshold(scores, labels, beta=0.5)
    assert ((scores >= found.thresholds["precise"]) & ~labels).sum() <= 0.005 * (~labels).sum()


@pytest.mark.parametrize("labels", [[False, False], [True, True]])
def test_one_class_only_is_refused(labels: list[bool]) -> None:
    with pytest.raises(ValueError, match="right and replaced"):
        fit_calibration(np.array([0.0, 1.0]), np.array(labels), fitted_on="nothing")
