"""Temperature and thresholds of replaced-token detection, fitted on text whose errors are known."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from app.bundle import Calibration
from app.tasks.detect.calibration import replaced_probabilities

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

UNCALIBRATED = Calibration(
    thresholds={"balanced": 0.5, "precise": 0.9, "sensitive": 0.2}, fitted_on="nothing yet", date="1970-01-01"
)
_TEMPERATURES = (0.05, 20.0)


def fit_calibration(
    logits: FloatArray, replaced: BoolArray, *, fitted_on: str, max_false_positive_rate: float = 0.001
) -> Calibration:
    """Fit on units of labelled text.

    - temperature: the least negative log-likelihood of ``sigmoid(logit / temperature)`` (Guo et al. 2017).
    - ``balanced``: the greatest F1.
    - ``precise``: the greatest F0.5 among thresholds that flag at most ``max_false_positive_rate`` of the
      right units.
    - ``sensitive``: the greatest F2.

    Args:
        logits: ``[units]``, uncalibrated.
        replaced: ``[units]``.
        fitted_on: the data, in words, for ``bundle.json``.

    Raises:
        ValueError: no unit is replaced, or every one is.
    """
    if not replaced.any() or replaced.all():
        raise ValueError("calibration needs right and replaced units")
    temperature = fit_temperature(logits, replaced)
    scores = replaced_probabilities(logits, temperature)
    balanced = best_threshold(scores, replaced, beta=1.0)
    precise = best_threshold(scores, replaced, beta=0.5, max_false_positive_rate=max_false_positive_rate)
    sensitive = best_threshold(scores, replaced, beta=2.0)
    return Calibration(
        temperature=temperature,
        thresholds={
            "balanced": balanced,
            # On little data the three optima need not be in order; their names promise that they are.
            "precise": max(precise, balanced),
            "sensitive": min(sensitive, balanced),
        },
        fitted_on=fitted_on,
        date=date.today().isoformat(),
    )


def fit_temperature(logits: FloatArray, replaced: BoolArray) -> float:
    """The temperature within 0.05 to 20 that makes the labels most likely."""
    low, high = np.log(_TEMPERATURES)
    signs = np.where(replaced, 1.0, -1.0)

    def negative_log_likelihood(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signs * logits / np.exp(log_temperature)).mean())

    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=(low, high), method="bounded").x))


def best_threshold(
    scores: FloatArray, replaced: BoolArray, *, beta: float, max_false_positive_rate: float = 1.0
) -> float:
    """The threshold (``score >= threshold`` flags) with the greatest F-beta; of equals, the highest.

    It lies half-way to the next lower score, so that rounding does not move units across it. Where no
    threshold meets ``max_false_positive_rate``, nothing is flagged: 1.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(replaced[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # equal scores are flagged together
    flagged, true = last + 1.0, hits[last].astype(np.float64)
    weight = beta * beta
    f_beta = (1 + weight) * true / (flagged + weight * replaced.sum())
    rate = (flagged - true) / max(int((~replaced).sum()), 1)
    allowed = rate <= max_false_positive_rate
    if not allowed.any():
        return 1.0
    best = int(np.argmax(np.where(allowed, f_beta, -1.0)))
    below = ranked[last[best] + 1] if best + 1 < len(last) else 0.0
    return float((ranked[last[best]] + below) / 2)
