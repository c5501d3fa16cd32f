"""The generator's loss by the kernels, and the replacements drawn from the same softmax.

The logits, the largest tensor of a step, never come into being: 256 words at a time are compared with all
masked positions, once forwards and once more for the gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.electra.native import kernels
from training.electra.native.kernels import EDGE, bfloat16_on_cpu


def fits(table: Tensor) -> bool:
    """Whether the kernels take a ``[words, size]`` table: bfloat16 on a CPU, and whole blocks."""
    return bfloat16_on_cpu(table) and table.shape[1] % EDGE == 0


def cross_entropy_and_draw(
    hidden: Tensor, table: Tensor, bias: Tensor, target: Tensor, uniforms: Tensor
) -> tuple[Tensor, Tensor]:
    """``hidden [positions, size]``, ``table [words, size]``, ``bias [words]`` -> float32 ``[positions]``
    losses of ``target``, and int64 ``[positions]`` words drawn by ``uniforms``.

    Products are of bfloat16 numbers and summed in float32, as the softmax is.
    """
    losses, drawn = _Vocabulary.apply(hidden.to(torch.bfloat16), table, bias, target, uniforms)
    return losses, drawn


class _Vocabulary(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, table: Tensor, bias: Tensor, target: Tensor, uniforms: Tensor
    ) -> tuple[Tensor, Tensor]:
        hidden, target, uniforms = hidden.contiguous(), target.contiguous(), uniforms.contiguous()
        losses, logarithms, drawn = kernels.vocabulary_loss(hidden, table, bias, target, uniforms)
        ctx.save_for_backward(hidden, table, bias, target, logarithms)
        ctx.mark_non_differentiable(drawn)
        return losses, drawn

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        hidden, table, bias, target, logarithms = ctx.saved_tensors
        gradients = kernels.vocabulary_gradient(
            upstream[0].contiguous(), hidden, table, bias, target, logarithms
        )
        return gradients[0].to(hidden.dtype), gradients[1], gradients[2], None, None
