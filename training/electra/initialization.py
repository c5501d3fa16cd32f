"""Where the weights start: the reference's random numbers, and two starts that leave the plateau sooner.

In a short run most of the time goes by before attention has found out that neighbours matter; until then
the generator guesses by frequency alone. ``sinusoidal`` positions make "the token before" one linear map
away, and ``local`` attention starts as that map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from training.electra.model import Electra, Encoder

_ROWS = 8  # rows of random ids on which the heads are fitted
_RIDGE = 1e-2
_PASSED = 0.7  # share of a neighbour's vector that a value and its output matrix let through
_COPIED = (
    0.3  # the same of a token's own vector through the generator's head: with its bias, it does not drown it
)
_CONTRAST = 5.0  # logits by which the neighbour stands out from a token elsewhere


def truncated_normal_(module: nn.Module, deviation: float) -> None:
    """Fill linear and embedding weights of one module; biases with 0 (google-research/electra,
    ``create_initializer``).
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


@torch.no_grad()
def sinusoidal_(table: Tensor, deviation: float, local: bool) -> None:
    """Fill ``[positions, embedding]`` with sinusoids of the given deviation.

    Their wavelengths are geometric, from 6 tokens up (Vaswani et al. 2017, section 3.5), or those of
    :func:`local_start_`.
    """
    positions, width = table.shape
    half = (width + 1) // 2
    rates = _rates(half) if local else 10000.0 ** (-torch.arange(half) / half)
    waves = _waves(torch.arange(positions), rates)
    table.copy_(waves[:, :width] * deviation * 2**0.5)


@torch.no_grad()
def local_start_(model: Electra) -> None:
    """Start both networks as readers of neighbours: what a word vector holds of the words beside it can be
    used from the first step (in the spirit of mimetic initialisation, Trockman and Kolter 2023).

    Projections keep lengths and angles, the generator's head leads back into the space of word vectors, and
    the heads of the first half of the layers look at one neighbour each.
    """
    for encoder in (model.generator, model.discriminator):
        if encoder.embeddings_project is not None:
            nn.init.orthogonal_(encoder.embeddings_project.weight)
    into = model.generator.embeddings_project
    dense = model.generator_head.dense.weight
    dense.copy_((torch.eye(len(dense)) if into is None else into.weight.T) * _COPIED)
    training = model.training
    model.eval()
    for encoder in (model.generator, model.discriminator):
        _local_heads_(encoder, model.config.vocab_size, model.config.max_position_embeddings)
    model.train(training)


def _local_heads_(encoder: Encoder, vocabulary: int, positions: int) -> None:
    """Point each head of the first half of the layers at one neighbour: -1, +1, -2, +2, ...

    Queries and keys become what a ridge regression reads of the positions in the hidden states of random ids,
    the query turned by the offset, so that ``query . key`` peaks where the key stands ``offset`` places
    further. Values lead into a random subspace, and the output matrix back out of it.
    """
    ids = torch.randint(vocabulary, (_ROWS, positions))
    where = torch.arange(positions)
    hidden = encoder.project(encoder.embeddings(ids, where.expand_as(ids), None))
    offsets = _offsets()
    for layer in list(encoder.layers)[: (len(encoder.layers) + 1) // 2]:
        width = hidden.shape[-1] // layer.heads
        rates = _rates(width // 2)
        used = 2 * len(rates)
        weight, bias = _regression(hidden, _waves(where, rates).expand(_ROWS, -1, -1))
        scale = (_CONTRAST * width**0.5 / _contrast(hidden @ weight.T + bias)) ** 0.5
        weight, bias = weight * scale, bias * scale
        table = layer.query_key_value.weight.view(3, layer.heads, width, -1)
        biases = layer.query_key_value.bias.view(3, layer.heads, width)
        out = layer.attention_output.weight.view(-1, layer.heads, width)
        for head in range(layer.heads):
            turn = _turn(rates, next(offsets))
            table[0, head, :used], biases[0, head, :used] = turn @ weight, turn @ bias
            table[1, head, :used], biases[1, head, :used] = weight, bias
            passed = nn.init.orthogonal_(torch.empty(width, hidden.shape[-1])) * _PASSED
            table[2, head], out[:, head] = passed, passed.T
        hidden = layer(hidden, None)


def _offsets() -> Iterator[int]:
    distance = 1
    while True:
        yield -distance
        yield distance
        distance += 1


def _rates(count: int) -> Tensor:
    """``[count]`` angles a token, spread over 0 to pi by the golden ratio.

    The sum of their cosines is ``count`` at distance 0 and near 0 at every other.
    """
    return math.pi * ((0.5 + torch.arange(count) * (5**0.5 - 1) / 2) % 1)


def _waves(positions: Tensor, rates: Tensor) -> Tensor:
    """``[positions, 2 * rates]``: sines, then cosines."""
    angles = positions[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def _turn(rates: Tensor, offset: int) -> Tensor:
    """``[2 * rates, 2 * rates]``: the matrix that moves :func:`_waves` on by ``offset`` positions."""
    cos, sin = (offset * rates).cos().diag(), (offset * rates).sin().diag()
    return torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)])


def _regression(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Ridge regression of ``[..., targets]`` on ``[..., inputs]``: weight ``[targets, inputs]`` and bias."""
    x, y = inputs.flatten(0, -2), targets.flatten(0, -2)
    centre_x, centre_y = x.mean(0), y.mean(0)
    x, y = x - centre_x, y - centre_y
    covariance = x.T @ x
    covariance += _RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance))
    weight = torch.linalg.solve(covariance, x.T @ y).T
    return weight, centre_y - weight @ centre_x


def _contrast(read: Tensor) -> float:
    """How much ``read . read`` of one position stands out from that of two others, on average.

    ``read`` is ``[rows, positions, waves]``.
    """
    scores = read[0] @ read[1].T
    return float(scores.diagonal().mean() - scores.mean())
