"""Sampling replacements from the generator's softmax, in float32."""

from __future__ import annotations

import torch
from torch import Tensor

from training.electra.pieces import BLOCK, scores_in_pieces


@torch.no_grad()
def sample_tokens(
    logits: Tensor, uniforms: Tensor, temperature: float = 1.0, forbid: Tensor | None = None
) -> Tensor:
    """Inverse-transform sampling: one uniform draw a position picks the token (no noise of vocabulary size
    is made).

    Args:
        logits: ``[positions, vocabulary]``, any float type; the softmax is taken in float32.
        uniforms: ``[positions]`` in [0, 1).
        temperature: 1 samples from the model's own distribution.
        forbid: ``[positions]`` token that may not be drawn ("disallow correct"), or None.

    Returns:
        int64 ``[positions]``.
    """
    drawn = torch.empty(len(logits), dtype=torch.int64, device=logits.device)
    for piece, scores in scores_in_pieces(logits):
        if temperature != 1.0:
            scores /= temperature
        if forbid is not None:
            scores.scatter_(1, forbid[piece, None], float("-inf"))
        weights = scores.sub_(scores.amax(1, keepdim=True)).exp_()
        drawn[piece] = draw(weights, uniforms[piece])[0]
    return drawn.clamp_(max=logits.shape[1] - 1)


def draw(weights: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Entries drawn in proportion to their weights, and the sums of all weights.

    First a block is drawn by the blocks' sums, then an entry inside it: only these are summed one after the
    other. An entry of weight 0 is never drawn.

    Args:
        weights: float32 ``[positions, entries]``, a whole number of blocks; some above 0 in every row.
        uniforms: ``[positions]`` in [0, 1).

    Returns:
        int64 ``[positions]`` and float32 ``[positions]``.
    """
    blocks = weights.unflatten(1, (-1, BLOCK))
    sums = blocks.sum(2)
    until = sums.cumsum(1)
    totals = until[:, -1]
    threshold = uniforms.to(weights.dtype) * totals
    block = _first_above(until, threshold)
    inside = blocks[torch.arange(len(blocks), device=blocks.device), block].cumsum(1)
    before = torch.where(block > 0, until.gather(1, (block - 1).clamp(min=0)[:, None]).squeeze(1), 0.0)
    return block * BLOCK + _first_above(inside, threshold - before), totals


def _first_above(cumulative: Tensor, threshold: Tensor) -> Tensor:
    """``[positions]``, the first place of ``cumulative [positions, places]`` that is above the threshold.

    Rounding may put a threshold below 0 or up to the last sum: it is brought inside. Sums that are not finite
    give some place: whoever trains finds the loss not finite, and says so.
    """
    last = cumulative[:, -1]
    inside = torch.minimum(threshold.clamp(min=0), torch.nextafter(last, torch.zeros_like(last)))
    place = torch.searchsorted(cumulative, inside[:, None], right=True).squeeze(1)
    return place.clamp_(max=cumulative.shape[1] - 1)
