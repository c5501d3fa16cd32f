"""Which positions are masked: exactly as many as asked, without replacement, never a special token or
padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KEEP_PROBABILITY = (
    0.15  # of the masked positions, left as they are (google-research/electra: 85 % [MASK], 15 % kept)
)


@dataclass(frozen=True)
class MaskedPositions:
    """The masked positions of a batch.

    Attributes:
        positions: int64 ``[rows, N]``, indices into the row; unused entries are 0.
        weights: float32 ``[rows, N]``, 1 for a masked position and 0 for an unused entry.
        keep: bool ``[rows, N]``, true where the generator sees the original token instead of [MASK].
        uniforms: float64 ``[rows, N]``, one draw a position for sampling from the generator's softmax.
    """

    positions: np.ndarray
    weights: np.ndarray
    keep: np.ndarray
    uniforms: np.ndarray


def choose_masked(
    maskable: np.ndarray,
    tokens: np.ndarray,
    rate: float,
    maximum: int,
    random: np.random.Generator,
    words: np.ndarray | None = None,
) -> MaskedPositions:
    """Draw masked positions for every row.

    Args:
        maskable: bool ``[rows, length]``: ordinary tokens and [UNK]; not [CLS], [SEP], [MASK], padding.
        tokens: int ``[rows]``: tokens of the row including [CLS] and [SEP].
        rate: share of ``tokens`` to mask; a row gets ``max(1, min(maximum, round(rate * tokens)))``, or all
            it has.
        maximum: ``N``.
        words: int ``[rows, length]``: with whole-word masking, the number of the word each position belongs
            to; the words
            of a row are then taken whole, in random order, the last one cut where the count is reached.
    """
    rows, length = maskable.shape
    wanted = np.clip(np.rint(rate * tokens).astype(np.int64), 1, maximum)
    wanted = np.minimum(wanted, maskable.sum(1))
    order = random.random((rows, length))
    if words is not None:
        # One draw a word; the position breaks ties, so that a word's tokens stay together.
        order = np.take_along_axis(order, words, 1) + np.arange(length) * 1e-9
    order = np.where(maskable, order, np.inf)
    positions = np.argsort(order, axis=1, kind="stable")[:, :maximum]
    weights = (np.arange(maximum) < wanted[:, None]).astype(np.float32)
    # In ascending order within the row: nothing depends on it, and gathers touch memory in sequence.
    positions = np.where(weights > 0, positions, length)
    index = np.argsort(positions, axis=1, kind="stable")
    positions = np.take_along_axis(positions, index, 1)
    positions = np.where(weights > 0, positions, 0).astype(np.int64)
    keep = random.random((rows, maximum)) < KEEP_PROBABILITY
    return MaskedPositions(positions, weights, keep, random.random((rows, maximum)))
