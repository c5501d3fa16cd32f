"""The logits of the masked positions in pieces that stay in a processor's cache.

They are the largest tensor of a step: for ``small`` 32,000 numbers for each position. Taken whole, each of
the dozen passes that a softmax, its gradient and their conversions make over them goes through main memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CACHED = 2**18  # logits in a piece: 1 MiB in float32
BLOCK = 256  # a row of scores is a whole number of so many


def pieces(logits: Tensor) -> list[slice]:
    """Positions of ``[positions, vocabulary]`` logits that together fit into a cache; one slice elsewhere."""
    positions, vocabulary = logits.shape
    size = max(1, CACHED // vocabulary) if logits.device.type == "cpu" else max(1, positions)
    return [slice(first, first + size) for first in range(0, max(1, positions), size)]


def scores_in_pieces(logits: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Each piece, and a float32 copy of its logits that may be overwritten.

    Rows of the copy are as long as the next multiple of ``BLOCK``, with minus infinity at the end. The memory
    is that of the piece before.
    """
    vocabulary = logits.shape[1]
    width = -(-vocabulary // BLOCK) * BLOCK
    memory: Tensor | None = None
    for piece in pieces(logits):
        rows = logits[piece]
        if memory is None:
            memory = torch.empty(len(rows), width, device=logits.device)
        scores = memory[: len(rows)]
        scores[:, :vocabulary] = rows
        scores[:, vocabulary:] = float("-inf")
        yield piece, scores
