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
    it is ``probability`` on average; the scale is that of the rate drawn.
    """
    if not training or probability == 0.0:
        return values
    if values.device.type != "cpu":
        return F.dropout(values, probability, True)
    bytes_drawn, threshold = random_bytes(values.detach(), probability)
    scale = 256.0 / (256.0 - threshold)
    return values * torch.where(bytes_drawn >= threshold, scale, 0.0).to(values.dtype)


# The tag keeps the compiler from drawing anew in the backward pass. Two calls on one and the same tensor it
# would merge; a network has none.
@torch.library.custom_op("electra::random_bytes", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def random_bytes(like: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    """``uint8`` bytes of the shape of ``like``, and the float32 0-dim threshold below which one drops.

    Seeded from torch's own generator, whose state every checkpoint holds.
    """
    seed = int(torch.randint(2**63 - 1, ()))
    source = np.random.SFC64(seed)
    words = source.random_raw(-(-like.numel() // 8) + 1)
    fraction = float(words[-1]) / 2.0**64
    drawn = torch.from_numpy(words.view(np.uint8)[: like.numel()]).view(like.shape)
    return drawn, torch.tensor(float(int(probability * 256 + fraction)))


@random_bytes.register_fake
def _(like: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    return torch.empty(like.shape, dtype=torch.uint8), torch.empty(())
