"""Dropout whose random numbers do not cost more than the network.

On a CPU ``torch`` draws one Mersenne-Twister number an element: for ``small`` a third of a training step. One
byte an element from a faster generator does the same work.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def dropout(values: Tensor, probability: float, training: bool) -> Tensor:
    """Zero each value with ``probability`` and scale the rest so that the mean stays (Srivastava et al.
    2014).

    On a CPU the rate of one call is one of the two multiples of 1/256 around ``probability``, drawn so that
    it is ``probability`` on average; the scale is that of the rate drawn, rounded to the type of ``values``.
    """
    if not training or probability == 0.0:
        return values
    if values.device.type != "cpu":
        return F.dropout(values, probability, True)
    return values * random_factors(values.detach(), probability)


# The tag keeps the compiler from drawing anew in the backward pass. Two calls on one and the same tensor it
# would merge; a network has none.
@torch.library.custom_op(
    "electra::random_factors", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
def random_factors(like: Tensor, probability: float) -> Tensor:
    """0 where a value drops and elsewhere the scale, of the shape and type of ``like``.

    Not bytes or booleans: compiled loops read those by a detour that takes ten times as long as the product.
    Seeded from torch's own generator, whose state every checkpoint holds.
    """
    seed = int(torch.randint(2**63 - 1, ()))
    words = np.random.SFC64(seed).random_raw(-(-like.numel() // 8) + 1)
    threshold = int(probability * 256 + float(words[-1]) / 2.0**64)
    stays = np.greater_equal(words.view(np.uint8)[: like.numel()], threshold).view(np.int8)
    scale = torch.tensor(256.0 / (256.0 - threshold), dtype=like.dtype)
    if like.dtype == torch.bfloat16:
        # The bits of the scale where a value stays: one pass of integers over memory.
        bits = np.multiply(stays, scale.view(torch.int16).numpy(), dtype=np.int16)
        return torch.from_numpy(bits).view(torch.bfloat16).view(like.shape)
    return torch.from_numpy(stays).to(like.dtype).mul_(scale).view(like.shape)


@random_factors.register_fake
def _(like: Tensor, probability: float) -> Tensor:
    return torch.empty(like.shape, dtype=like.dtype)
