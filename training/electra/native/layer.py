"""A transformer layer by the kernels: the same sums as ``training.electra.model.Layer`` in bfloat16.

Kept for the backward pass are the layer's input and seven activations in bfloat16 (for ``small`` 8 KB a
token); what dropped out is drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from training.electra.native import kernels
from training.electra.native.kernels import EDGE, Dropout, bfloat16_on_cpu, draw_dropout

if TYPE_CHECKING:
    from training.electra.model import Layer


@dataclass(frozen=True)
class _Settings:
    heads: int
    epsilon: float
    attention: Dropout
    context: Dropout
    output: Dropout


def fits(hidden: Tensor, layer: Layer) -> bool:
    """Whether the kernels can run ``layer`` on ``hidden [batch, tokens, width]``: bfloat16 by autocast on a
    CPU, and nothing left over at the edges of their blocks.
    """
    tokens, width = hidden.shape[1:]
    sizes = (tokens, width, width // layer.heads, layer.intermediate.out_features)
    return bfloat16_on_cpu(hidden) and not any(size % EDGE for size in sizes)


def run_layer(layer: Layer, hidden: Tensor, segments: Tensor | None) -> Tensor:
    """``hidden [batch, tokens, width]`` -> bfloat16 of that shape; ``segments`` int32 ``[batch, tokens]``."""
    training = layer.training
    settings = _Settings(
        layer.heads,
        layer.attention_norm.eps,
        draw_dropout(layer.attention_dropout if training else 0.0),
        draw_dropout(layer.hidden_dropout if training else 0.0),
        draw_dropout(layer.hidden_dropout if training else 0.0),
    )
    modules = (
        layer.query_key_value,
        layer.attention_output,
        layer.attention_norm,
        layer.intermediate,
        layer.output,
        layer.output_norm,
    )
    parameters = [parameter for module in modules for parameter in (module.weight, module.bias)]
    made: Tensor = _Layer.apply(hidden.to(torch.bfloat16).contiguous(), segments, settings, *parameters)
    return made


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, segments: Tensor | None, settings: _Settings, *parameters: Tensor
    ) -> Tensor:
        projection, projection_bias, mixing, mixing_bias, norm, norm_bias = parameters[:6]
        widening, widening_bias, narrowing, narrowing_bias, last_norm, last_norm_bias = parameters[6:]
        rows = hidden.view(-1, hidden.shape[-1])
        projected = kernels.linear(rows, projection, projection_bias).view(*hidden.shape[:2], -1)
        context, logarithms = kernels.attention(projected, segments, settings.heads, settings.attention)
        mixed = kernels.linear(context.view_as(rows), mixing, mixing_bias)
        middle, statistics = kernels.add_norm(
            rows, mixed, norm, norm_bias, settings.epsilon, settings.context
        )
        inner, slope = kernels.linear_gelu(middle, widening, widening_bias)
        narrowed = kernels.linear(inner, narrowing, narrowing_bias)
        made, last_statistics = kernels.add_norm(
            middle, narrowed, last_norm, last_norm_bias, settings.epsilon, settings.output
        )
        ctx.settings = settings
        ctx.save_for_backward(
            *(hidden, segments, projected, context, logarithms, mixed, statistics),
            *(middle, inner, slope, narrowed, last_statistics),
            *(projection, mixing, norm, widening, narrowing, last_norm),
        )
        return made.view_as(hidden)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        settings: _Settings = ctx.settings
        hidden, segments, projected, context, logarithms, mixed, statistics = ctx.saved_tensors[:7]
        middle, inner, slope, narrowed, last_statistics = ctx.saved_tensors[7:12]
        projection, mixing, norm, widening, narrowing, last_norm = ctx.saved_tensors[12:]
        rows = hidden.view(-1, hidden.shape[-1])
        above = upstream[0].contiguous().view_as(rows)
        residual, branch, *last_norm_gradients = kernels.add_norm_gradient(
            above, middle, narrowed, last_norm, last_statistics, settings.output
        )
        narrowing_gradients = kernels.weight_gradient(branch, inner)
        inner_gradient = kernels.input_gradient(branch, narrowing, slope=slope)
        widening_gradients = kernels.weight_gradient(inner_gradient, middle)
        above = kernels.input_gradient(inner_gradient, widening, added=residual)
        residual, branch, *norm_gradients = kernels.add_norm_gradient(
            above, rows, mixed, norm, statistics, settings.context
        )
        mixing_gradients = kernels.weight_gradient(branch, context.view_as(rows))
        above = kernels.input_gradient(branch, mixing)
        projected_gradient = kernels.attention_gradient(
            above, projected, segments, context, logarithms, settings.attention
        ).view(len(rows), -1)
        projection_gradients = kernels.weight_gradient(projected_gradient, rows)
        below = kernels.input_gradient(projected_gradient, projection, added=residual).view_as(hidden)
        return (
            *(below, None, None, *projection_gradients, *mixing_gradients, *norm_gradients),
            *(*widening_gradients, *narrowing_gradients, *last_norm_gradients),
        )
