"""Pretraining's attention and dropout under Hugging Face's modules: on a CPU they take far less time."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from training.electra.attention import attend
from training.electra.dropout import dropout

_NAME = "electra_platform"


class FastDropout(nn.Dropout):
    """``nn.Dropout`` by :func:`training.electra.dropout.dropout`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return dropout(input, self.p, self.training)


def use_fast_kernels(model: PreTrainedModel) -> None:
    """Let the model train with our attention and dropout; weights, configuration and checkpoints stay."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, FastDropout(child.p))
    model.set_attn_implementation(_NAME)


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """The signature of transformers' attention functions; gives ``[batch, tokens, heads, head]``."""
    context = attend(query, key, value, attention_mask, dropout, module.training)
    return context.transpose(1, 2).contiguous(), None


AttentionInterface.register(_NAME, _attention)
AttentionMaskInterface.register(_NAME, sdpa_mask)
