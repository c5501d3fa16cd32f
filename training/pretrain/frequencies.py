"""How often each token stands in the text: what a generator knows that has learnt nothing else."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.corpus.shards import TokenShards

_TOKENS = 4_000_000  # counted of each source, spread over it
_STRETCH = 4096  # tokens read at a time


def token_log_probabilities(shards: TokenShards, vocabulary: int) -> Tensor:
    """float32 ``[vocabulary]``: logarithms of the tokens' shares of the train split, its sources weighted as
    in training; every token is counted once more than it stands there.
    """
    shares = np.full(vocabulary, 0.0)
    for source, weight in shards.weights.items():
        counts = np.zeros(vocabulary)
        mine = [shard for shard in shards.shards("train", source) if shard.tokens]
        total = sum(shard.tokens for shard in mine)
        for shard in mine:
            ids = shard.ids
            step = max(_STRETCH, _STRETCH * total // _TOKENS)
            for start in range(0, len(ids), step):
                counts += np.bincount(ids[start : start + _STRETCH], minlength=vocabulary)
        if counts.sum():
            shares += weight * total * counts / counts.sum()
    shares += 1.0
    return torch.from_numpy(np.log(shares / shares.sum())).float()
