"""Fit a small perceptron that ranks the sentences of a document.

The loss is listwise: within each document the scores, through a softmax, should put their mass on the
sentences that the oracle chose (Cao et al. 2007, top-one probabilities), so that only the order inside a
document matters and long documents do not outweigh short ones. A bias keeps the scores readable as
probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from app.tasks.summarize import SentenceScorer
from training.errors import UserError
from training.finetune.scorer_config import ScorerConfig

FloatArray = npt.NDArray[np.float32]

_LEAST_SPREAD = 1e-6  # a feature that hardly varies is left as it is


@dataclass(frozen=True, slots=True, eq=False)
class DocumentExample:
    """One document: ``features`` float32 ``[sentences, features]``, ``labels`` bool ``[sentences]``."""

    features: FloatArray
    labels: npt.NDArray[np.bool_]


def fit_scorer(
    train: Sequence[DocumentExample],
    dev: Sequence[DocumentExample],
    config: ScorerConfig,
    *,
    progress: bool = True,
) -> SentenceScorer:
    """The perceptron that had the least loss on ``dev``.

    Standardisation is folded into the first layer, so that the scorer takes features as they are. Equal
    arguments give equal scorers on one machine.

    Raises:
        UserError: no document of ``train`` or ``dev`` tells sentences apart.
    """
    train, dev = _telling(train, "train"), _telling(dev, "dev")
    torch.manual_seed(config.seed)
    mean, spread = _moments(train)
    network = _network(train[0].features.shape[1], config)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    batches = _Batches(train, mean, spread)
    judge = _Batches(dev, mean, spread)
    random = np.random.default_rng(config.seed)
    best, least, since = _state(network), float("inf"), 0
    with tqdm(total=config.epochs, desc="scorer", unit="epoch", disable=not progress) as bar:
        for _ in range(config.epochs):
            network.train()
            order = random.permutation(len(train))
            for start in range(0, len(order), config.batch_documents):
                loss = _loss(network, *batches.take(order[start : start + config.batch_documents]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            dev_loss = _dev_loss(network, judge, config.batch_documents)
            bar.update()
            bar.set_postfix(dev_loss=f"{dev_loss:.4f}")
            if dev_loss < least:
                best, least, since = _state(network), dev_loss, 0
            else:
                since += 1
                if since >= config.patience:
                    break
    network.load_state_dict(best)
    return _exported(network, mean, spread, _bias(network, judge))


class _Batches:
    """Documents as flat tensors: standardised features, target mass, and the document of each row."""

    def __init__(self, examples: Sequence[DocumentExample], mean: FloatArray, spread: FloatArray) -> None:
        self.features = [torch.from_numpy((e.features - mean) / spread) for e in examples]
        self.targets = [torch.from_numpy(np.asarray(e.labels / e.labels.sum(), np.float32)) for e in examples]

    def __len__(self) -> int:
        return len(self.features)

    def take(self, documents: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features ``[rows, features]``, target mass ``[rows]`` and document numbers ``[rows]``."""
        sizes = torch.tensor([len(self.targets[index]) for index in documents])
        return (
            torch.cat([self.features[index] for index in documents]),
            torch.cat([self.targets[index] for index in documents]),
            torch.repeat_interleave(torch.arange(len(documents)), sizes),
        )


def _telling(examples: Sequence[DocumentExample], split: str) -> list[DocumentExample]:
    """Documents of which some sentences are chosen and some are not."""
    telling = [example for example in examples if 0 < example.labels.sum() < len(example.labels)]
    if not telling:
        raise UserError(
            f"{split}: in none of {len(examples)} documents does the summary prefer one sentence to another; "
            "use documents of several sentences with summaries about them"
        )
    return telling


def _moments(examples: Sequence[DocumentExample]) -> tuple[FloatArray, FloatArray]:
    """Mean and spread of each feature over all sentences, in one pass of bounded memory."""
    count = sum(len(example.features) for example in examples)
    mean = sum(example.features.sum(axis=0, dtype=np.float64) for example in examples) / count
    square = sum(np.square(example.features - mean).sum(axis=0) for example in examples) / count
    spread = np.sqrt(square)
    return mean.astype(np.float32), np.where(spread < _LEAST_SPREAD, 1, spread).astype(np.float32)


def _network(features: int, config: ScorerConfig) -> nn.Sequential:
    if not config.hidden:
        return nn.Sequential(nn.Dropout(config.dropout), nn.Linear(features, 1))
    return nn.Sequential(
        nn.Dropout(config.dropout),
        nn.Linear(features, config.hidden),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, 1),
    )


def _loss(
    network: nn.Sequential, features: torch.Tensor, targets: torch.Tensor, documents: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy between target mass and the softmax over each document, mean over documents."""
    scores = network(features)[:, 0]
    count = int(documents[-1]) + 1
    top = torch.full((count,), -torch.inf).scatter_reduce(0, documents, scores.detach(), "amax")
    shifted = scores - top[documents]
    normaliser = torch.zeros(count).index_add(0, documents, shifted.exp()).log()
    return -(targets * (shifted - normaliser[documents])).sum() / count


def _dev_loss(network: nn.Sequential, judge: _Batches, size: int) -> float:
    network.eval()
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(judge), size):
            documents = np.arange(start, min(start + size, len(judge)))
            total += float(_loss(network, *judge.take(documents))) * len(documents)
    return total / len(judge)


def _bias(network: nn.Sequential, judge: _Batches) -> float:
    """What to add to scores so that their mean probability is the share of chosen sentences.

    The listwise loss leaves a common offset free.
    """
    with torch.no_grad():
        scores = torch.cat([network(features)[:, 0] for features in judge.features]).double()
    share = float(torch.cat([targets > 0 for targets in judge.targets]).double().mean())
    low, high = -60.0 - float(scores.max()), 60.0 - float(scores.min())
    for _ in range(80):
        middle = (low + high) / 2
        if float(torch.sigmoid(scores + middle).mean()) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _state(network: nn.Sequential) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _exported(network: nn.Sequential, mean: FloatArray, spread: FloatArray, bias: float) -> SentenceScorer:
    """The network's layers with standardisation in the first and ``bias`` in the last."""
    layers = []
    for number, layer in enumerate(module for module in network if isinstance(module, nn.Linear)):
        weight = layer.weight.detach().numpy().T.astype(np.float64)
        offset = layer.bias.detach().numpy().astype(np.float64)
        if number == 0:
            weight = weight / spread[:, None]
            offset = offset - mean @ weight
        layers.append((weight, offset))
    weight, offset = layers[-1]
    layers[-1] = (weight, offset + bias)
    return SentenceScorer(tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in layers))
