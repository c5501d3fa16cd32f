"""A trained sentence scorer: a small multilayer perceptron whose arrays travel in the pooling statistics.

One layer makes it a logistic regression. It stands apart from ``app.tasks.summarize`` so that the model can
carry it without knowing the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

SCALAR_FEATURES = (
    "cosine",
    "relative_position",
    "inverse_position",
    "inverse_from_end",
    "first",
    "last",
    "paragraph_start",
    "length",
    "relative_length",
    "lexical_centrality",
    "lead_overlap",
    "wide",
    "digits",
    "document_length",
)
"""What is known of a sentence beside its vectors, as ``app.tasks.summarize.features`` computes it."""

_WEIGHT, _BIAS = "scorer_weight_", "scorer_bias_"


def feature_size(dimension: int) -> int:
    """Features of a sentence with a vector of ``dimension`` numbers: vector, document, product, scalars."""
    return 3 * dimension + len(SCALAR_FEATURES)


@dataclass(frozen=True, slots=True, eq=False)
class SentenceScorer:
    """``layers``: weight ``[inputs, outputs]`` and bias ``[outputs]``, the last with one output."""

    layers: tuple[tuple[FloatArray, FloatArray], ...]

    def __post_init__(self) -> None:
        """Raises ``ValueError`` where shapes do not follow from one another or a number is not finite."""
        if not self.layers:
            raise ValueError("a scorer needs at least one layer")
        inputs = self.features
        for number, (weight, bias) in enumerate(self.layers):
            if weight.ndim != 2 or weight.shape[0] != inputs or bias.shape != weight.shape[1:]:
                raise ValueError(f"layer {number} maps {inputs} inputs with {weight.shape} and {bias.shape}")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ValueError(f"layer {number} holds a number that is not finite")
            inputs = weight.shape[1]
        if inputs != 1:
            raise ValueError(f"the last layer gives {inputs} numbers instead of 1")

    @property
    def features(self) -> int:
        """How many features it takes."""
        return int(self.layers[0][0].shape[0])

    def score(self, features: FloatArray) -> FloatArray:
        """Probability of belonging to the summary, float32 ``[sentences]``.

        ``features``: float32 ``[sentences, features]``.
        """
        values = features
        for number, (weight, bias) in enumerate(self.layers):
            values = values @ weight + bias
            if number < len(self.layers) - 1:
                values = np.maximum(values, 0)
        logits = np.clip(values[:, 0], -30, 30)
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def scorer_arrays(scorer: SentenceScorer) -> dict[str, FloatArray]:
    """The arrays by the names that :func:`read_scorer` looks for, to be stored beside mean and whitening."""
    arrays: dict[str, FloatArray] = {}
    for number, (weight, bias) in enumerate(scorer.layers):
        arrays[f"{_WEIGHT}{number}"] = weight
        arrays[f"{_BIAS}{number}"] = bias
    return arrays


def read_scorer(arrays: Mapping[str, npt.NDArray[np.generic]], dimension: int) -> SentenceScorer | None:
    """The scorer among ``arrays``, or None where there is none.

    Args:
        arrays: by name, as ``numpy.load`` gives them.
        dimension: of the sentence vectors that it will be asked about.

    Raises:
        ValueError: an array is missing, malformed, or made for vectors of another size.
    """
    count = sum(name.startswith(_WEIGHT) for name in arrays)
    if not count:
        return None
    layers = []
    for number in range(count):
        for name in (f"{_WEIGHT}{number}", f"{_BIAS}{number}"):
            if name not in arrays:
                raise ValueError(f"{name} is missing beside {count} weights")
        weight = np.asarray(arrays[f"{_WEIGHT}{number}"], np.float32)
        layers.append((weight, np.asarray(arrays[f"{_BIAS}{number}"], np.float32)))
    scorer = SentenceScorer(tuple(layers))
    if scorer.features != feature_size(dimension):
        raise ValueError(
            f"it takes {scorer.features} features, but vectors of {dimension} give {feature_size(dimension)}"
        )
    return scorer
