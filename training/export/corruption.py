"""Corrupted text with known places: by a bundle's own generator, and by sources that it has never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.scheduler.engine import RequestContext
from app.tasks.model import ServedModel
from app.text.encoder import Encoded

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
MASKED_SHARE = 0.15


@dataclass(frozen=True, eq=False)
class CorruptedRow:
    """Tokens of one text after corruption, without special tokens.

    Attributes:
        ids: int64 ``[tokens]``, what the discriminator reads.
        replaced: bool ``[tokens]``, where it differs from the original.
        scored: bool ``[tokens]``, tokens that count: unknown ones are left out.
    """

    ids: IntArray
    replaced: BoolArray
    scored: BoolArray


@dataclass(frozen=True)
class MaskedAccuracy:
    """How well a generator fills masked places: the share of right first guesses, and of right ten."""

    positions: int
    top1: float
    top10: float


async def corrupt_with_generator(
    model: ServedModel, rows: Sequence[Encoded], seed: int, share: float = MASKED_SHARE
) -> tuple[list[CorruptedRow], MaskedAccuracy]:
    """Mask ``share`` of the known tokens and put samples of the bundle's generator there, as in pretraining.

    A sample that happens to be the original counts as not replaced (ELECTRA, section 2).
    """
    generator = np.random.default_rng(seed)
    chosen, sequences = [], []
    for row in rows:
        known = np.flatnonzero(~row.unknown)
        count = min(max(1, round(share * len(known))), len(known))
        positions = np.sort(generator.choice(known, size=count, replace=False)).astype(np.int64)
        masked = row.ids.copy()
        masked[positions] = model.encoder.special_tokens.mask
        chosen.append(positions)
        sequences.append(model.encoder.sequence(masked, positions=positions))
    corrupted, first, ten, total = [], 0, 0, 0
    # In slices: vocabulary logits of a thousand positions are already 80 MB.
    for start in range(0, len(sequences), 64):
        part = slice(start, start + 64)
        outputs = await model.engine.infer(sequences[part], RequestContext(), graph="generator")
        for row, positions, output in zip(rows[part], chosen[part], outputs, strict=True):
            logits = output["logits"]
            truth = row.ids[positions]
            rank = (logits > logits[np.arange(len(truth)), truth][:, None]).sum(axis=1)
            first += int((rank == 0).sum())
            ten += int((rank < 10).sum())
            total += len(truth)
            ids = row.ids.copy()
            ids[positions] = sample(logits, generator)
            corrupted.append(CorruptedRow(ids, ids != row.ids, ~row.unknown))
    return corrupted, MaskedAccuracy(total, first / max(total, 1), ten / max(total, 1))


def sample(logits: npt.NDArray[np.float32], generator: np.random.Generator) -> IntArray:
    """One draw from the softmax of each row of ``logits [rows, vocabulary]``, int64 ``[rows]``."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    # One number per row, found in the running sum: noise for every entry of the vocabulary costs far more.
    reached = np.cumsum(weights, axis=1, dtype=np.float64)
    drawn = generator.random(len(logits)) * reached[:, -1]
    return (reached <= drawn[:, None]).sum(axis=1).astype(np.int64)


def corrupt_at_random(
    rows: Sequence[Encoded], vocabulary: IntArray, seed: int, share: float = 0.1
) -> list[CorruptedRow]:
    """Replace ``share`` of the known tokens by tokens drawn from ``vocabulary``; needs no generator."""
    generator = np.random.default_rng(seed)
    corrupted = []
    for row in rows:
        known = np.flatnonzero(~row.unknown)
        if not len(known):
            continue
        positions = generator.choice(known, size=max(1, round(share * len(known))), replace=False)
        ids = row.ids.copy()
        ids[positions] = generator.choice(vocabulary, size=len(positions))
        corrupted.append(CorruptedRow(ids, ids != row.ids, ~row.unknown))
    return corrupted


async def replaced_logits(model: ServedModel, rows: Sequence[CorruptedRow]) -> tuple[np.ndarray, BoolArray]:
    """Replaced-token logits and labels of every scored token, float64 and bool ``[scored tokens]``."""
    sequences = [model.encoder.sequence(row.ids) for row in rows]
    logits, labels = [np.empty(0)], [np.empty(0, bool)]
    for start in range(0, len(sequences), 256):  # `hidden` comes along: bounded memory
        outputs = await model.engine.infer(sequences[start : start + 256], RequestContext())
        for row, output in zip(rows[start : start + 256], outputs, strict=True):
            logits.append(output["logits"][1:-1].astype(np.float64)[row.scored])
            labels.append(row.replaced[row.scored])
    return np.concatenate(logits), np.concatenate(labels)
