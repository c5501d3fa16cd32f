"""Sentence vectors: the encoder's hidden states of each sentence, pooled, centred or whitened, unit length.

Sentences are encoded by themselves, shortest first, in calls of a bounded number of tokens, so that the
hidden states of a long document never stand in memory together. A sentence longer than the model is read in
windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.bundle import Pooling
from app.scheduler.engine import RequestContext
from app.tasks.model import PoolingStatistics, ServedModel
from app.tasks.summarize.options import PoolingName
from app.tasks.summarize.segments import Segment
from app.text.encoder import Encoded
from app.text.sequence import TokenSequence
from app.text.windows import plan_windows

FloatArray = npt.NDArray[np.float32]

TOKENS_PER_CALL = 8192
"""Tokens handed to the engine at once: hidden states of 768 numbers each then take 25 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class DocumentVectors:
    """Attributes:

    vectors: float32 ``[sentences, dimension]``, unit length; zero where a sentence has no token.
    has_tokens: bool ``[sentences]``.
    prompt_tokens: tokens that the model read for this document, special tokens included.
    """

    vectors: FloatArray
    has_tokens: npt.NDArray[np.bool_]
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class _Row:
    document: int
    sentence: int
    sequence: TokenSequence


async def sentence_vectors(
    model: ServedModel,
    encoded: Sequence[Encoded],
    segments: Sequence[Sequence[Segment]],
    pooling: PoolingName,
    context: RequestContext,
) -> list[DocumentVectors]:
    """Vectors of the sentences of several documents.

    Args:
        model: an ``encode`` bundle.
        encoded: the documents' tokens.
        segments: the documents' sentences; one that repeats another is not read twice.
        pooling: ``mean`` or ``max`` over a sentence's tokens, or ``cls``, the state of ``[CLS]``.
        context: deadline and timing.
    """
    rows = [
        row
        for document, (tokens, sentences) in enumerate(zip(encoded, segments, strict=True))
        for row in _rows(model, document, tokens, sentences)
    ]
    rows.sort(key=lambda row: len(row.sequence))
    hidden = model.bundle.manifest.hidden_size
    pools = [_Pool(len(sentences), hidden, pooling) for sentences in segments]
    for call in _calls(rows):
        outputs = await model.engine.infer([row.sequence for row in call], context)
        for row, output in zip(call, outputs, strict=True):
            pools[row.document].add(row.sentence, output["hidden"])
    return [
        _document_vectors(model, pools[document], [segment.original for segment in sentences])
        for document, sentences in enumerate(segments)
    ]


class _Pool:
    """Pooled states of one document's sentences, gathered row by row; windows of a sentence come together."""

    def __init__(self, sentences: int, hidden: int, pooling: PoolingName) -> None:
        self.pooling = pooling
        start = -np.inf if pooling == "max" else 0.0
        self.states = np.full((sentences, hidden), start, np.float32)
        self.weights = np.zeros(sentences, np.float32)
        self.tokens = 0

    def add(self, sentence: int, hidden: FloatArray) -> None:
        """Add one row's states ``[tokens, hidden]``."""
        state, weight = pool(hidden, self.pooling)
        own = self.states[sentence]
        if self.pooling == "max":
            np.maximum(own, state, out=own)
        else:
            own += weight * state
        self.weights[sentence] += weight
        self.tokens += len(hidden)

    def result(self, sentences: Sequence[int]) -> FloatArray:
        """Pooled states of ``sentences``, zero for those without a row."""
        states, weights = self.states[sentences], self.weights[sentences]
        states[weights == 0] = 0
        if self.pooling != "max":
            states /= np.maximum(weights, 1)[:, None]
        return states


def _document_vectors(model: ServedModel, pooled: _Pool, originals: Sequence[int]) -> DocumentVectors:
    states = pooled.result(originals)
    has_tokens = pooled.weights[originals] > 0
    vectors = postprocessed(states, model.bundle.manifest.pooling, model.statistics, pooled.pooling)
    vectors[~has_tokens] = 0
    return DocumentVectors(vectors, has_tokens, pooled.tokens)


def pool(hidden: FloatArray, pooling: PoolingName) -> tuple[FloatArray, int]:
    """One vector ``[hidden]`` for a row's states ``[tokens, hidden]``, and how many states are in it.

    The first and the last state are ``[CLS]`` and ``[SEP]``, which mean and max leave out.
    """
    if pooling == "cls":
        return hidden[0], 1
    inner = hidden[1:-1]
    return (inner.mean(axis=0) if pooling == "mean" else inner.max(axis=0)), len(inner)


def postprocessed(
    states: FloatArray,
    settings: Pooling | None,
    statistics: PoolingStatistics | None,
    pooling: PoolingName,
) -> FloatArray:
    """Pooled ``states [sentences, hidden]`` as unit vectors, float32 ``[sentences, dimension]``.

    Centring and whitening follow the bundle; its statistics describe vectors of its own pooling, so other
    poolings go without.
    """
    if settings is not None and statistics is not None and pooling == settings.pooling:
        if settings.postprocess != "none":
            states = states - statistics.mean
        if settings.postprocess == "whiten":
            states = states @ statistics.whitening
    return normalised(states)


def normalised(vectors: FloatArray) -> FloatArray:
    """Rows at unit length, float32; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)


def _rows(model: ServedModel, document: int, encoded: Encoded, segments: Sequence[Segment]) -> Iterator[_Row]:
    """The rows to read: one for each distinct sentence that has tokens, or one for each of its windows."""
    starts = np.maximum.accumulate(encoded.offsets[:, 0])
    firsts = np.searchsorted(starts, [segment.start for segment in segments])
    lasts = np.searchsorted(starts, [segment.end for segment in segments])
    for index, segment in enumerate(segments):
        first, last = int(firsts[index]), int(lasts[index])
        if segment.original != index or first == last:
            continue
        if last - first <= model.encoder.room:
            yield _Row(document, index, model.encoder.sequence(encoded.ids[first:last]))
            continue
        part = Encoded(
            encoded.ids[first:last],
            encoded.offsets[first:last],
            encoded.unknown[first:last],
            encoded.continuation[first:last],
        )
        for window in plan_windows(part, model.encoder.room, 0, []):
            yield _Row(document, index, model.encoder.sequence(part.ids[window.start : window.end]))


def _calls(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Consecutive rows, about ``TOKENS_PER_CALL`` tokens in each call."""
    call: list[_Row] = []
    tokens = 0
    for row in rows:
        if call and tokens + len(row.sequence) > TOKENS_PER_CALL:
            yield call
            call, tokens = [], 0
        call.append(row)
        tokens += len(row.sequence)
    if call:
        yield call
