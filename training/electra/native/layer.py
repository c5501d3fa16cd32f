"""A transformer layer by the kernels: the same sums as ``training.electra.model.Layer`` in bfloat16.

Kept for the backward pass are the layer's input and seven activations in bfloat16 (for ``small`` 8 KB a
token); what dropped out is drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.electra.native import kernels
from training.electra.native.kernels import EDGE, Dropout, bfloat16_on_cpu, draw_dropout


@dataclass(frozen=True)
class LayerSettings:
    """What a layer is apart from its parameters; the rates are those of dropout, 0 outside of training."""

    heads: int
    epsilon: float
    attention_dropout: float
    hidden_dropout: float


@dataclass(frozen=True)
class LayerParameters:
    """Weights ``[outputs, inputs]`` and biases ``[outputs]``, float32, in the order of their use."""

    query_key_value: tuple[Tensor, Tensor]
    attention_output: tuple[Tensor, Tensor]
    attention_norm: tuple[Tensor, Tensor]
    intermediate: tuple[Tensor, Tensor]
    output: tuple[Tensor, Tensor]
    output_norm: tuple[Tensor, Tensor]


def fits(hidden: Tensor, heads: int, intermediate: int) -> bool:
    """Whether the kernels take ``hidden [batch, tokens, width]``: bfloat16 by autocast on a CPU, and sizes
    that fit; no rows, as one of many processes may have, are left to torch.
    """
    tokens, width = hidden.shape[1:]
    whole_blocks = hidden.numel() > 0 and sizes_fit(tokens, width, heads, intermediate)
    return whole_blocks and bfloat16_on_cpu(hidden)


def sizes_fit(tokens: int, width: int, heads: int, intermediate: int) -> bool:
    """Whether nothing of a layer is left over at the edges of the kernels' blocks."""
    return not any(size % EDGE for size in (tokens, width, width // heads, intermediate))


def run_layer(
    hidden: Tensor, segments: Tensor | None, settings: LayerSettings, parameters: LayerParameters
) -> Tensor:
    """``hidden [batch, tokens, width]`` -> bfloat16 of that shape; ``segments`` int32 ``[batch, tokens]``."""
    drawn = _Drawn(
        settings,
        draw_dropout(settings.attention_dropout),
        draw_dropout(settings.hidden_dropout),
        draw_dropout(settings.hidden_dropout),
    )
    flat = [tensor for field in fields(parameters) for tensor in getattr(parameters, field.name)]
    documents = None if segments is None else segments.contiguous()
    made: Tensor = _Layer.apply(hidden.to(torch.bfloat16).contiguous(), documents, drawn, *flat)
    return made


@dataclass(frozen=True)
class _Drawn:
    settings: LayerSettings
    attention: Dropout
    context: Dropout
    output: Dropout


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, segments: Tensor | None, drawn: _Drawn, *parameters: Tensor
    ) -> Tensor:
        settings = drawn.settings
        projection, projection_bias, mixing, mixing_bias, norm, norm_bias = parameters[:6]
        widening, widening_bias, narrowing, narrowing_bias, last_norm, last_norm_bias = parameters[6:]
        rows = hidden.view(-1, hidden.shape[-1])
        projected = kernels.linear(rows, projection, projection_bias).view(*hidden.shape[:2], -1)
        context, logarithms = kernels.attention(projected, segments, settings.heads, drawn.attention)
        mixed = kernels.linear(context.view_as(rows), mixing, mixing_bias)
        middle, statistics = kernels.add_norm(rows, mixed, norm, norm_bias, settings.epsilon, drawn.context)
        inner, slope = kernels.linear_gelu(middle, widening, widening_bias)
        narrowed = kernels.linear(inner, narrowing, narrowing_bias)
        made, last_statistics = kernels.add_norm(
            middle, narrowed, last_norm, last_norm_bias, settings.epsilon, drawn.output
        )
        ctx.drawn = drawn
        ctx.save_for_backward(
            *(hidden, segments, projected, context, logarithms, mixed, statistics),
            *(middle, inner, slope, narrowed, last_statistics),
            *(projection, mixing, norm, widening, narrowing, last_norm),
        )
        return made.view_as(hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        drawn: _Drawn = ctx.drawn
        hidden, segments, projected, context, logarithms, mixed, statistics = ctx.saved_tensors[:7]
        middle, inner, slope, narrowed, last_statistics = ctx.saved_tensors[7:12]
        projection, mixing, norm, widening, narrowing, last_norm = ctx.saved_tensors[12:]
        rows = hidden.view(-1, hidden.shape[-1])
        above = upstream[0].contiguous().view_as(rows)
        residual, branch, *last_norm_gradients = kernels.add_norm_gradient(
            above, middle, narrowed, last_norm, last_statistics, drawn.output
        )
        narrowing_gradients = kernels.weight_gradient(branch, inner)
        inner_gradient = kernels.input_gradient(branch, narrowing, slope=slope)
        widening_gradients = kernels.weight_gradient(inner_gradient, middle)
        above = kernels.input_gradient(inner_gradient, widening, added=residual)
        residual, branch, *norm_gradients = kernels.add_norm_gradient(
            above, rows, mixed, norm, statistics, drawn.context
        )
        mixing_gradients = kernels.weight_gradient(branch, context.view_as(rows))
        above = kernels.input_gradient(branch, mixing)
        projected_gradient = kernels.attention_gradient(
            above, projected, segments, context, logarithms, drawn.attention
        ).view(len(rows), -1)
        projection_gradients = kernels.weight_gradient(projected_gradient, rows)
        below = kernels.input_gradient(projected_gradient, projection, added=residual).view_as(hidden)
        return (
            *(below, None, None, *projection_gradients, *mixing_gradients, *norm_gradients),
            *(*widening_gradients, *narrowing_gradients, *last_norm_gradients),
        )
