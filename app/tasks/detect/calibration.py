"""The discriminator's logits as probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.tasks.model import ServedModel


def temperature_of(model: ServedModel) -> float:
    """What the bundle's logits are divided by before the sigmoid (temperature scaling, Guo et al. 2017)."""
    calibration = model.bundle.manifest.calibration
    return calibration.temperature if calibration else 1.0


def replaced_probabilities(logits: npt.NDArray[np.floating], temperature: float) -> npt.NDArray[np.float64]:
    """How likely each token was replaced: ``sigmoid(logits / temperature)``, float64, same shape."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64) / temperature)), np.float64)
