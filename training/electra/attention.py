"""Scaled dot-product attention, by the kernel that trains fastest on each device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.electra.dropout import dropout

# Longer rows go through the fused kernel on a CPU too: the scores of every pair would not fit.
_LONGEST_EXPLICIT = 512


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, probability: float, training: bool
) -> Tensor:
    """``[batch, heads, tokens, head]`` each -> the same (Vaswani et al. 2017, section 3.2.1).

    ``mask`` is ``[batch, 1, tokens, tokens]``: boolean, true where attention is allowed, or what is added to
    the scores; ``probability`` drops attention weights. On a CPU the scores are written out as two batched
    products: the backward pass of torch's fused kernel takes ten times as long in bfloat16 there, and with
    dropout it is not used at all.
    """
    if query.device.type != "cpu" or query.shape[-2] > _LONGEST_EXPLICIT or not training:
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(query.dtype)
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=probability if training else 0.0
        )
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return dropout(scores.softmax(-1), probability, training) @ value


def document_mask(segments: Tensor) -> Tensor:
    """``[batch, tokens]`` segments -> ``[batch, 1, tokens, tokens]``: attention stays inside a document.

    On a CPU it is what is added to the scores (0 or minus infinity, exact in bfloat16), because the
    masked softmax then takes half the time; elsewhere it is boolean.
    """
    same = segments[:, None, :, None] == segments[:, None, None, :]
    if segments.device.type != "cpu":
        return same
    return torch.zeros(same.shape, dtype=torch.bfloat16).masked_fill_(~same, float("-inf"))
