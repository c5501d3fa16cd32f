"""Where the weights start: the reference's random numbers, and two starts that leave the plateau sooner.

In a short run most of the time goes by before attention has found out that neighbours matter; until then
the generator guesses by frequency alone. ``sinusoidal`` positions make "the token before" one linear map
away, and ``local`` attention starts as that map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from training.electra.config import ElectraConfig
    from training.electra.model import Electra, Encoder, Layer

_ROWS = 8  # rows of random ids on which the heads are fitted
_RIDGE = 1e-2
_PASSED = 0.8  # share of a neighbour's vector that a value and its output matrix let through
_COPIED = (
    0.3  # the same of a token's own vector through the generator's head: with its bias, it does not drown it
)
_COMPARED = 0.2  # weight of one dimension's likeness in what the feed-forward part writes
_CONTRAST = 10.0  # logits by which the neighbour stands out from a token elsewhere


def truncated_normal_(module: nn.Module, deviation: float) -> None:
    """Fill linear and embedding weights of one module; biases with 0 (google-research/electra,
    ``create_initializer``).
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def glorot_(layer: nn.Linear) -> None:
    """Fill one layer as TensorFlow fills a dense layer without an initializer: uniform between plus and minus
    ``sqrt(6 / (inputs + outputs))``, whatever ``initializer_range`` is; the bias with 0.

    In google-research/electra these are ``embeddings_project`` (``modeling.BertModel``) and the
    discriminator's one output (``_get_discriminator_output``).
    """
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)


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
    the heads of the first half of the layers look at one neighbour each. A discriminator at least twice as
    wide as its word vectors also compares each word with them.
    """
    for encoder in (model.generator, model.discriminator):
        # One text has one type: its vector would only make all tokens alike.
        nn.init.zeros_(encoder.embeddings.token_type_embeddings.weight)
        if encoder.embeddings_project is not None:
            nn.init.orthogonal_(encoder.embeddings_project.weight)
    into = model.generator.embeddings_project
    dense = model.generator_head.dense.weight
    dense.copy_((torch.eye(len(dense)) if into is None else into.weight.T) * _COPIED)
    training = model.training
    model.eval()
    _local_layers_(model.generator, model.config, compare=False)
    _local_layers_(
        model.discriminator,
        model.config,
        compare=model.config.hidden_size >= 2 * model.config.embedding_size,
    )
    model.train(training)


def _local_layers_(encoder: Encoder, config: ElectraConfig, compare: bool) -> None:
    """Point each head of the first half of the layers at one neighbour: -1, +1, -2, +2, ...

    ``compare``: a neighbour gets as many heads as carry its whole vector, into the dimensions that words
    leave free, and the feed-forward part compares the two; else each head passes a random part of it on.
    """
    positions = config.max_position_embeddings
    ids = torch.randint(config.vocab_size, (_ROWS, positions))
    hidden = encoder.project(encoder.embeddings(ids, torch.arange(positions).expand_as(ids)))
    words = free = torch.empty(0)
    if compare and encoder.embeddings_project is not None:
        words = encoder.embeddings_project.weight
        free = torch.linalg.svd(words, full_matrices=True).U[:, words.shape[1] : 2 * words.shape[1]]
    offsets = _offsets()
    for layer in cast("list[Layer]", list(encoder.layers)[: (len(encoder.layers) + 1) // 2]):
        width = hidden.shape[-1] // layer.heads
        parts = -(-words.shape[1] // width) if len(words) else 1
        taken = [offset for offset in islice(offsets, -(-layer.heads // parts)) for _ in range(parts)]
        _point_heads_(layer, hidden, taken[: layer.heads])
        out = layer.attention_output.weight.view(-1, layer.heads, width)
        for head in range(layer.heads):
            value = layer.query_key_value.weight.view(3, layer.heads, width, -1)[2, head]
            if len(words):
                part = torch.arange(head % parts * width, min((head % parts + 1) * width, words.shape[1]))
                value.zero_()
                out[:, head] = 0.0
                value[: len(part)], out[:, head, : len(part)] = words.T[part] * _PASSED, free[:, part]
            else:
                passed = nn.init.orthogonal_(torch.empty(width, hidden.shape[-1])) * _PASSED
                value.copy_(passed)
                out[:, head] = passed.T
        if len(words):
            _compare_(layer, words, free)
        hidden = layer(hidden, None)


def _point_heads_(layer: Layer, hidden: Tensor, offsets: list[int]) -> None:
    """Make head ``n`` attend to the token ``offsets[n]`` places further.

    Queries and keys become what a ridge regression reads of the positions in ``hidden [rows, positions,
    width]``, the query turned by the offset, so that ``query . key`` peaks at that place.
    """
    width = hidden.shape[-1] // layer.heads
    rates = _rates(width // 2)
    used = 2 * len(rates)
    waves = _waves(torch.arange(hidden.shape[1]), rates)
    weight, bias = _regression(hidden, waves.expand(len(hidden), -1, -1))
    scale = (_CONTRAST * width**0.5 / _contrast(hidden @ weight.T + bias)) ** 0.5
    weight, bias = weight * scale, bias * scale
    table = layer.query_key_value.weight.view(3, layer.heads, width, -1)
    biases = layer.query_key_value.bias.view(3, layer.heads, width)
    for head, offset in enumerate(offsets):
        turn = _turn(rates, offset)
        table[0, head, :used], biases[0, head, :used] = turn @ weight, turn @ bias
        table[1, head, :used], biases[1, head, :used] = weight, bias


def _compare_(layer: Layer, words: Tensor, free: Tensor) -> None:
    """Let the feed-forward part write how alike the word and its neighbours are into one direction.

    ``gelu(a + b) + gelu(-a - b) - gelu(a - b) - gelu(b - a)`` is about ``2 sign(ab) min(|a|, |b|)``; the sum
    over the dimensions ``a`` of the word and ``b`` of the neighbours is high where they agree.
    """
    turned = nn.init.orthogonal_(torch.empty(words.shape[1], words.shape[1]))
    own, near = turned @ words.T, turned @ free.T
    units = torch.cat([own + near, -own - near, own - near, near - own])
    count = min(len(units), len(layer.intermediate.weight))
    signs = torch.ones(len(units))
    signs[len(units) // 2 :] = -1
    direction = nn.functional.normalize(torch.randn(words.shape[0]), dim=0)
    layer.intermediate.weight[:count] = units[:count]
    layer.output.weight[:, :count] = direction[:, None] * signs[:count] * _COMPARED


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
