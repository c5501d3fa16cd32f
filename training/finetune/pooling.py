"""A last layer that starts as the mean of all tokens.

After a short pretraining [CLS], which the head reads, knows little of the text: nothing has asked it to. With
queries of 0 every token attends to all alike, with values and output that undo each other it adds their mean
to itself, and with a feed-forward part of small weights that is all: the mean pooling that helps such a
model, inside the standard architecture (re-initialised last layers: Zhang et al. 2021, section 5).
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

_DEVIATION = 0.02  # of the weights that start as noise, as in the reference


@torch.no_grad()
def start_with_mean(model: PreTrainedModel) -> None:
    """Make the last layer of an ELECTRA model the mean of its inputs; it goes on to learn as any other."""
    layer = model.electra.encoder.layer[-1]
    own, out = layer.attention.self, layer.attention.output
    for part in (own.query, own.key, own.value, out.dense, layer.intermediate.dense, layer.output.dense):
        nn.init.trunc_normal_(part.weight, std=_DEVIATION)
        nn.init.zeros_(part.bias)
    nn.init.zeros_(own.query.weight)
    passed = nn.init.orthogonal_(torch.empty_like(own.value.weight))
    own.value.weight.copy_(passed)
    out.dense.weight.copy_(passed.T)
    for norm in (out.LayerNorm, layer.output.LayerNorm):
        nn.init.ones_(norm.weight)
        nn.init.zeros_(norm.bias)
