"""Cross-entropy over the vocabulary, in pieces that stay in a processor's cache.

The logits of the masked positions are the largest tensor of a step: for ``small`` 32,000 numbers for each of
them. Taken whole, each of the dozen passes that a softmax, its gradient and their conversions make over them
goes through main memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CACHED = 2**18  # logits in a piece: 1 MiB in float32


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """``[positions, vocabulary]`` logits of any float type, ``[positions]`` ids -> float32 ``[positions]``.

    The softmax is taken in float32.
    """
    if logits.device.type != "cpu":
        return F.cross_entropy(logits.float(), target, reduction="none")
    return _InPieces.apply(logits, target)  # type: ignore[no-any-return]


def pieces(logits: Tensor) -> list[slice]:
    """Positions of ``[positions, vocabulary]`` logits that together fit into a cache; one slice elsewhere."""
    positions, vocabulary = logits.shape
    size = max(1, CACHED // vocabulary) if logits.device.type == "cpu" else max(1, positions)
    return [slice(first, first + size) for first in range(0, max(1, positions), size)]


class _InPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        normaliser = torch.empty(len(logits))
        chosen = torch.empty(len(logits))
        for piece in pieces(logits):
            scores = logits[piece].float()
            chosen[piece] = scores.gather(1, target[piece, None]).squeeze(1)
            normaliser[piece] = scores.logsumexp(-1)
        ctx.save_for_backward(logits, target, normaliser)
        return normaliser - chosen

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        logits, target, normaliser = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        for piece in pieces(logits):
            scores = logits[piece].to(torch.float32, copy=True)
            scores.sub_(normaliser[piece, None]).exp_()
            scores.scatter_add_(1, target[piece, None], torch.full((len(scores), 1), -1.0))
            gradient[piece] = scores.mul_(upstream[0][piece, None])
        return gradient, None
