"""Sampling replacements from the generator's softmax, in float32."""

from __future__ import annotations

import torch
from torch import Tensor

from training.electra.cross_entropy import pieces


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
    drawn = []
    for piece in pieces(logits):
        scores = logits[piece].detach().float()
        if temperature != 1.0:
            scores = scores / temperature
        if forbid is not None:
            scores = scores.scatter(1, forbid[piece, None], float("-inf"))
        cumulative = scores.softmax(-1).cumsum_(-1)
        threshold = uniforms[piece, None].to(cumulative.dtype) * cumulative[:, -1:]
        drawn.append(torch.searchsorted(cumulative, threshold, right=True).squeeze(1))
    return torch.cat(drawn).clamp_(max=logits.shape[-1] - 1)
