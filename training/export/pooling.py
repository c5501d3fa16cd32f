"""Statistics of sentence vectors: their mean, and the map that makes their coordinates uncorrelated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.scheduler.engine import RequestContext
from app.tasks.model import PoolingStatistics, ServedModel

MAX_DIMENSIONS = 256  # keeping fewer than all dimensions of a whitened space measured better (Su et al. 2021)
_BATCH = 256


def fit_pooling(model: ServedModel, sentences: Sequence[str], pooling: str = "mean") -> PoolingStatistics:
    """Mean ``[hidden]`` and whitening ``[hidden, k]`` of the vectors of ``sentences``.

    ``(vector - mean) @ whitening`` has covariance 1 on these sentences; directions in which they do not
    vary are left out, and ``k`` is at most 256.

    Raises:
        ValueError: fewer than two sentences.
    """
    if len(sentences) < 2:
        raise ValueError("pooling statistics need two sentences or more")
    vectors = sentence_vectors(model, sentences, pooling)
    mean = vectors.mean(axis=0)
    covariance = np.cov(vectors - mean, rowvar=False)
    values, directions = np.linalg.eigh(covariance)
    order = np.argsort(-values)
    kept = order[values[order] > max(values.max() * 1e-6, 1e-12)][:MAX_DIMENSIONS]
    whitening = directions[:, kept] / np.sqrt(values[kept])
    return PoolingStatistics(mean.astype(np.float32), whitening.astype(np.float32))


def sentence_vectors(model: ServedModel, sentences: Sequence[str], pooling: str) -> npt.NDArray[np.float64]:
    """One vector per sentence, float64 ``[sentences, hidden]``; special tokens do not count."""
    vectors = []
    for start in range(0, len(sentences), _BATCH):
        encodings = [model.encoder.encode(text) for text in sentences[start : start + _BATCH]]
        sequences = [
            model.encoder.sequence(encoded.ids[: model.encoder.room]) for encoded in encodings if len(encoded)
        ]
        for output in asyncio.run(model.engine.infer(sequences, RequestContext())):
            hidden = output["hidden"].astype(np.float64)
            if pooling == "cls":
                vectors.append(hidden[0])
            else:
                vectors.append(hidden[1:-1].max(axis=0) if pooling == "max" else hidden[1:-1].mean(axis=0))
    return np.stack(vectors)
