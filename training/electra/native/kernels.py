"""The kernels as functions of tensors: bfloat16 activations, float32 parameters and their gradients.

All tensors are contiguous and on the CPU. Numbers of tokens and all widths are multiples of ``EDGE``. Sums do
not depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.electra.native.library import SIGNATURES, load

EDGE = 32
_DRAWS = 2**62


@dataclass(frozen=True)
class Dropout:
    """Which values drop out: ``threshold`` of 256, by the numbers that ``seed`` gives."""

    threshold: int = 0
    seed: int = 0


def draw_dropout(probability: float) -> Dropout:
    """A multiple of 1/256 that is ``probability`` on average, and a seed, from torch's generator."""
    if probability == 0:
        return Dropout()
    seed, fraction = torch.randint(_DRAWS, (2,)).tolist()
    return Dropout(int(probability * 256 + fraction / _DRAWS), seed)


def bfloat16_on_cpu(values: Tensor) -> bool:
    """Whether torch would compute on ``values`` in bfloat16 on the CPU here (autocast)."""
    return (
        values.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )


def linear(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``values [rows, inputs]``, ``weight [outputs, inputs]``, ``bias [outputs]`` -> ``[rows, outputs]``."""
    rows, (outputs, inputs) = len(values), weight.shape
    made = _new(rows, outputs)
    _call("linear", values, weight, bias, made, rows, inputs, outputs)
    return made


def linear_gelu(values: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """GELU of ``linear``, and its derivative there."""
    rows, (outputs, inputs) = len(values), weight.shape
    made, slope = _new(rows, outputs), _new(rows, outputs)
    _call("linear_gelu", values, weight, bias, made, slope, rows, inputs, outputs)
    return made, slope


def input_gradient(
    upstream: Tensor, weight: Tensor, added: Tensor | None = None, slope: Tensor | None = None
) -> Tensor:
    """``upstream [rows, outputs]`` -> ``[rows, inputs]``, plus ``added``, times ``slope``."""
    rows, (outputs, inputs) = len(upstream), weight.shape
    made = _new(rows, inputs)
    _call("input_gradient", upstream, weight, added, slope, made, rows, inputs, outputs)
    return made


def weight_gradient(upstream: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """``upstream [rows, outputs]``, ``values [rows, inputs]`` -> gradients of weight and bias."""
    rows, outputs, inputs = len(values), upstream.shape[1], values.shape[1]
    weight, bias = _full(outputs, inputs), _full(outputs)
    _call("weight_gradient", upstream, values, weight, bias, rows, inputs, outputs)
    return weight, bias


def attention(
    projected: Tensor, segments: Tensor | None, heads: int, dropout: Dropout
) -> tuple[Tensor, Tensor]:
    """Attention inside documents.

    Args:
        projected: ``[batch, tokens, 3 * width]``: queries, keys and values, each ``[heads, size]``.
        segments: int32 ``[batch, tokens]``, the number of each token's document; None: one document a row.

    Returns:
        ``[batch, tokens, width]``, and float32 ``[batch, heads, tokens]`` for the gradient.
    """
    batch, tokens, width = projected.shape[0], projected.shape[1], projected.shape[2] // 3
    context, logarithms = _new(batch, tokens, width), _full(batch, heads, tokens)
    sizes = (batch, tokens, heads, width // heads)
    _call("attention", projected, segments, context, logarithms, *sizes, dropout.threshold, dropout.seed)
    return context, logarithms


def attention_gradient(
    upstream: Tensor,
    projected: Tensor,
    segments: Tensor | None,
    context: Tensor,
    logarithms: Tensor,
    dropout: Dropout,
) -> Tensor:
    """The gradient of ``projected``, from that of ``context``; the others as they went in and came out."""
    (batch, heads, tokens), width = logarithms.shape, projected.shape[2] // 3
    made = torch.empty_like(projected)
    tensors = (projected, segments, context, logarithms, upstream, made)
    sizes = (batch, tokens, heads, width // heads)
    _call("attention_gradient", *tensors, *sizes, dropout.threshold, dropout.seed)
    return made


def add_norm(
    residual: Tensor, branch: Tensor, weight: Tensor, bias: Tensor, epsilon: float, dropout: Dropout
) -> tuple[Tensor, Tensor]:
    """LayerNorm of ``residual + dropout(branch)``, both ``[rows, width]``, and ``[rows, 2]`` for its
    gradient.
    """
    rows, width = residual.shape
    made, statistics = _new(rows, width), _full(rows, 2)
    tensors = (residual, branch, weight, bias, made, statistics)
    _call("add_norm", *tensors, rows, width, epsilon, dropout.threshold, dropout.seed)
    return made, statistics


def add_norm_gradient(
    upstream: Tensor, residual: Tensor, branch: Tensor, weight: Tensor, statistics: Tensor, dropout: Dropout
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of residual, branch, weight and bias."""
    rows, width = residual.shape
    made = (_new(rows, width), _new(rows, width), _full(width), _full(width))
    tensors = (upstream, residual, branch, weight, statistics, *made)
    _call("add_norm_gradient", *tensors, rows, width, dropout.threshold, dropout.seed)
    return made


def dropout_factors(rows: int, width: int, dropout: Dropout) -> Tensor:
    """``[rows, width]``: 0 where ``dropout`` drops a value and elsewhere the scale of those that stay."""
    factors = _full(rows, width)
    _call("dropout_factors", factors, rows, width, dropout.threshold, dropout.seed)
    return factors


def vocabulary_loss(
    hidden: Tensor, table: Tensor, bias: Tensor, target: Tensor, uniforms: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of ``hidden [positions, size]`` against a table ``[words, size]``, and words drawn.

    Returns:
        Float32 ``[positions]`` losses, the logarithms that the gradient needs, and int64 ``[positions]``
        words drawn from the softmax by ``uniforms [positions]`` in [0, 1).
    """
    positions, (words, size) = len(hidden), table.shape
    losses, logarithms = _full(positions), _full(positions)
    drawn = _new(positions, dtype=torch.int64)
    tensors = (hidden, table, bias, target, uniforms, losses, logarithms, drawn)
    _call("vocabulary_loss", *tensors, positions, words, size)
    return losses, logarithms, drawn


def vocabulary_gradient(
    upstream: Tensor, hidden: Tensor, table: Tensor, bias: Tensor, target: Tensor, logarithms: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of hidden, table and bias, float32, from ``upstream [positions]``, that of the losses."""
    positions, (words, size) = len(hidden), table.shape
    made = (_full(positions, size), _full(words, size), _full(words))
    tensors = (hidden, table, bias, target, logarithms, upstream, *made)
    _call("vocabulary_gradient", *tensors, positions, words, size)
    return made


def _new(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="cpu")


def _full(*shape: int) -> Tensor:
    return _new(*shape, dtype=torch.float32)


def _call(name: str, *arguments: Tensor | float | None) -> None:
    """Run kernel ``name``. The tensors outlive the call, for they are the caller's.

    Raises:
        TypeError: a tensor that is not what the kernel would read in its place.
    """
    function, plain = getattr(load(), f"electra_{name}"), []
    for value, wanted in zip((*arguments, torch.get_num_threads()), SIGNATURES[name], strict=True):
        if isinstance(value, Tensor):
            if value.dtype != wanted or value.device.type != "cpu" or not value.is_contiguous():
                raise TypeError(f"{name}: {wanted} on the CPU and contiguous is wanted, not {value.dtype}")
            value = value.data_ptr()
        plain.append(value)
    function(*plain)
