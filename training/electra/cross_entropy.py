"""Cross-entropy over the vocabulary, and the replacements drawn from the same softmax in the same pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from training.electra.pieces import pieces, scores_in_pieces
from training.electra.sampling import draw, sample_tokens


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """``[positions, vocabulary]`` logits of any float type, ``[positions]`` ids -> float32 ``[positions]``.

    The softmax is taken in float32.
    """
    if logits.device.type != "cpu":
        return F.cross_entropy(logits.float(), target, reduction="none")
    losses, _ = _InPieces.apply(logits, target, None)
    return losses


def cross_entropy_and_draw(logits: Tensor, target: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """``cross_entropy``, and what ``sample_tokens`` draws: on a CPU one exponential serves both."""
    if logits.device.type != "cpu":
        return cross_entropy(logits, target), sample_tokens(logits, uniforms)
    losses, drawn = _InPieces.apply(logits, target, uniforms)
    return losses, drawn


class _InPieces(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, uniforms: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        normaliser, chosen = torch.empty(len(logits)), torch.empty(len(logits))
        drawn = None if uniforms is None else torch.empty(len(logits), dtype=torch.int64)
        for piece, scores in scores_in_pieces(logits):
            chosen[piece] = scores.gather(1, target[piece, None]).squeeze(1)
            largest = scores.amax(1)
            weights = scores.sub_(largest[:, None]).exp_()
            if drawn is None or uniforms is None:
                totals = weights.sum(1)
            else:
                drawn[piece], totals = draw(weights, uniforms[piece])
            normaliser[piece] = largest + totals.log()
        ctx.save_for_backward(logits, target, normaliser)
        if drawn is not None:
            # Beyond the vocabulary only where nothing is finite.
            drawn.clamp_(max=logits.shape[1] - 1)
            ctx.mark_non_differentiable(drawn)
        return normaliser - chosen, drawn

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        logits, target, normaliser = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        for piece in pieces(logits):
            scores = logits[piece].to(torch.float32, copy=True)
            scores.sub_(normaliser[piece, None]).exp_()
            scores.scatter_add_(1, target[piece, None], torch.full((len(scores), 1), -1.0))
            gradient[piece] = scores.mul_(upstream[0][piece, None])
        return gradient, None, None
