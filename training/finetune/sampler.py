"""Rows of like length in one batch, in an order that depends on the seed and the epoch alone.

The order is a pure function of ``(seed, epoch)``: a run resumed in the middle of an epoch then sees the very
batches that the unbroken run would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

# Batches among which rows are sorted by length: enough to fit lengths, few enough to stay random.
_POOL_BATCHES = 50


def epoch_order(
    lengths: Sequence[int], batch_size: int, seed: int, epoch: int, *, group: bool = True
) -> np.ndarray:
    """A permutation, int64 ``[rows]``, to be cut into consecutive batches.

    With ``group``, rows are shuffled, sorted by length within pools of ``_POOL_BATCHES`` batches, and the
    batches are shuffled again, so that neither long nor short rows come first. An incomplete batch is last.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    if not group:
        return order
    sizes = np.asarray(lengths)
    pool = batch_size * _POOL_BATCHES
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(-sizes[rows], kind="stable")]
        batches.extend(rows[at : at + batch_size] for at in range(0, len(rows), batch_size))
    partial = [batches.pop()] if len(batches[-1]) < batch_size else []
    shuffled = [batches[at] for at in generator.permutation(len(batches))]
    return np.concatenate([*shuffled, *partial])


class LengthGroupedSampler(Sampler[int]):
    """``epoch_order`` as a torch sampler; ``epoch`` is set by the trainer before each epoch."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, *, group: bool = True) -> None:
        self.lengths, self.batch_size, self.seed, self.group = lengths, batch_size, seed, group
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        return iter(
            epoch_order(self.lengths, self.batch_size, self.seed, self.epoch, group=self.group).tolist()
        )

    def __len__(self) -> int:
        return len(self.lengths)
