"""Text classification: one label with softmax, or several with sigmoid.

A text that is longer than the model is read in overlapping windows. The text's logits are the mean of its
windows' logits weighted by their tokens, and the activation comes after: so ``softmax``, ``sigmoid`` and
``none`` agree on which label is first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
import numpy.typing as npt

from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from app.tasks.helpers import check_wanted
from app.tasks.inputs import encode_texts, off_loop, windows_of
from app.tasks.model import ServedModel
from app.text.encoder import Encoded, TextEncoder
from app.text.sequence import TokenSequence
from app.text.windows import cut

FunctionToApply = Literal["softmax", "sigmoid", "none"]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label and its score: a probability, or the logit itself with ``function_to_apply`` ``none``."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer for one input.

    Attributes:
        index: which input.
        label, score: the first of ``scores``.
        probs: one per label in the model's own order, after the activation.
        num_classes: how many labels the model knows.
        scores: best first, ``top_k`` of them.
        windows: in how many windows the text was read.
        truncated: whether part of the text was cut off, which happens only on request.
        prompt_tokens: tokens that the model read, special tokens and overlaps included.
    """

    index: int
    label: str
    score: float
    probs: list[float]
    num_classes: int
    scores: list[LabelScore]
    windows: int
    truncated: bool
    prompt_tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    sequences: list[TokenSequence]
    truncated: bool


async def classify(
    model: ServedModel,
    inputs: list[str],
    *,
    context: RequestContext,
    text_pair: list[str] | None = None,
    function_to_apply: FunctionToApply | None = None,
    top_k: int | None = None,
    truncate: bool = False,
    fields: tuple[str, str] = ("input", "text_pair"),
) -> list[Classification]:
    """Classify ``inputs`` in one engine call.

    Args:
        model: a ``classify`` bundle.
        inputs: one or more texts.
        context: carries the deadline and collects timing.
        text_pair: the second text of each pair, as many as ``inputs``.
        function_to_apply: None means softmax for a single-label model and sigmoid for a multi-label one.
        top_k: how many of ``scores`` to return; None means all.
        truncate: cut what does not fit instead of reading it in windows.
        fields: what the request calls ``inputs`` and ``text_pair``, to name in an error.

    Raises:
        ValidationFailed: a text is empty or malformed, the pairs do not match, or neither of a pair leaves
            room for the other.
    """
    _check(model, top_k)
    if text_pair is not None and len(text_pair) != len(inputs):
        raise ValidationFailed(
            fields[1], f"holds {len(text_pair)} texts for {len(inputs)} inputs; send one for each"
        )
    rows = await _rows(model.encoder, inputs, text_pair, truncate, context, fields)
    return await _classify(model, rows, context, function_to_apply, top_k)


async def classify_ids(
    model: ServedModel,
    inputs: Sequence[Sequence[int]],
    *,
    context: RequestContext,
    function_to_apply: FunctionToApply | None = None,
    top_k: int | None = None,
) -> list[Classification]:
    """Classify token ids as a tokenizer endpoint gave them, special tokens included.

    Ids have no sentences to cut at, so what is longer than the model is refused.

    Raises:
        ValidationFailed: a row is empty, too long, or holds an id that the vocabulary lacks.
    """
    _check(model, top_k)
    limit = model.bundle.manifest.max_tokens
    rows = []
    for index, ids in enumerate(inputs):
        field = f"input.{index}" if len(inputs) > 1 else "input"
        if not ids:
            raise ValidationFailed(field, "is an empty list; send token ids", code="empty")
        if not all(0 <= token < model.encoder.vocab_size for token in ids):
            raise ValidationFailed(field, f"holds an id outside 0 to {model.encoder.vocab_size - 1}")
        if len(ids) > limit:
            raise ValidationFailed(
                field,
                f"holds {len(ids)} ids, the model takes {limit}; send less, or set truncate",
                code="too_long",
            )
        rows.append(_Rows([TokenSequence(np.array(ids, np.int64))], truncated=False))
    return await _classify(model, rows, context, function_to_apply, top_k)


def _check(model: ServedModel, top_k: int | None) -> None:
    if model.bundle.manifest.task != "classify":
        raise ValidationFailed("model", f"{model.name} has no classifier; name a classify model")
    if top_k is not None and top_k < 1:
        raise ValidationFailed("top_k", f"is {top_k}; ask for at least 1, or leave it out for all labels")


async def _classify(
    model: ServedModel,
    rows: Sequence[_Rows],
    context: RequestContext,
    function_to_apply: FunctionToApply | None,
    top_k: int | None,
) -> list[Classification]:
    manifest = model.bundle.manifest
    outputs = await model.engine.infer([row for item in rows for row in item.sequences], context)
    chosen = function_to_apply or ("softmax" if manifest.problem_type == "single_label" else "sigmoid")
    answers = []
    start = 0
    for index, item in enumerate(rows):
        weights = [len(row) for row in item.sequences]
        mean = _mean([output["logits"] for output in outputs[start : start + len(weights)]], weights)
        start += len(weights)
        probs = activate(mean, chosen)
        ranked = _ranked(manifest.labels, mean, probs)
        answers.append(
            Classification(
                index=index,
                label=ranked[0].label,
                score=ranked[0].score,
                probs=probs.tolist(),
                num_classes=len(manifest.labels),
                scores=ranked[:top_k],
                windows=len(weights),
                truncated=item.truncated,
                prompt_tokens=sum(weights),
            )
        )
    return answers


def _mean(logits: Sequence[npt.NDArray[np.float32]], weights: Sequence[int]) -> FloatArray:
    """Weighted mean of rows of ``logits`` ``[labels]``, float64."""
    if len(logits) == 1:
        return logits[0].astype(np.float64)
    return np.asarray(np.average(np.stack(logits).astype(np.float64), axis=0, weights=weights), np.float64)


def activate(logits: FloatArray, function: FunctionToApply) -> FloatArray:
    """Turn ``logits`` ``[labels]`` into scores, float64, without overflow."""
    match function:
        case "softmax":
            powers = np.exp(logits - logits.max())
            return np.asarray(powers / powers.sum(), np.float64)
        case "sigmoid":
            return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), np.float64)
        case "none":
            return logits
        case _:
            assert_never(function)


def _ranked(labels: Sequence[str], logits: FloatArray, probs: FloatArray) -> list[LabelScore]:
    # By logit: two probabilities may round to the same 1.0. Stable, so equal labels keep the model's order.
    order = np.argsort(-logits, kind="stable")
    return [LabelScore(labels[index], float(probs[index])) for index in order]


async def _rows(
    encoder: TextEncoder,
    inputs: Sequence[str],
    text_pair: Sequence[str] | None,
    truncate: bool,
    context: RequestContext,
    fields: tuple[str, str],
) -> list[_Rows]:
    encoded = await encode_texts(encoder, inputs, context, field=fields[0])
    pairs = None if text_pair is None else await encode_texts(encoder, text_pair, context, field=fields[1])
    started = time.perf_counter()
    try:
        characters = sum(map(len, inputs)) + sum(map(len, text_pair or ()))
        return await off_loop(
            characters, _plan, encoder, inputs, encoded, text_pair, pairs, truncate, fields[1]
        )
    finally:
        context.timing.tokenize += time.perf_counter() - started


def _plan(
    encoder: TextEncoder,
    inputs: Sequence[str],
    encoded: Sequence[Encoded],
    text_pair: Sequence[str] | None,
    pairs: Sequence[Encoded] | None,
    truncate: bool,
    field: str,
) -> list[_Rows]:
    if text_pair is None or pairs is None:
        return [
            _single(encoder, text, tokens, truncate) for text, tokens in zip(inputs, encoded, strict=True)
        ]
    plans = []
    for index, item in enumerate(zip(inputs, encoded, text_pair, pairs, strict=True)):
        plans.append(_pair(encoder, *item, truncate, f"{field}.{index}" if len(inputs) > 1 else field))
    return plans


def _single(encoder: TextEncoder, text: str, tokens: Encoded, truncate: bool) -> _Rows:
    check_wanted()
    windows = windows_of(text, tokens, encoder.room, truncate=truncate)
    sequences = [encoder.sequence(tokens.ids[window.start : window.end]) for window in windows]
    return _Rows(sequences, truncated=windows[-1].end < len(tokens))


def _pair(
    encoder: TextEncoder,
    first_text: str,
    first: Encoded,
    second_text: str,
    second: Encoded,
    truncate: bool,
    field: str,
) -> _Rows:
    """Rows of one pair: the longer text in windows, the shorter whole beside each of them."""
    check_wanted()
    room = encoder.room - 1
    half = room // 2
    if truncate:
        # Longest first, as BERT's own recipe: the shorter text gives up nothing that the longer can spare.
        kept = cut(first, max(room - len(second), half))
        kept_pair = cut(second, room - len(kept))
        sequence = encoder.sequence(first.ids[: kept.end], second.ids[: kept_pair.end])
        return _Rows([sequence], truncated=kept.end < len(first) or kept_pair.end < len(second))
    if min(len(first), len(second)) > half and len(first) + len(second) > room:
        raise ValidationFailed(
            field,
            f"texts of {len(first)} and {len(second)} tokens do not fit beside each other; "
            f"shorten one to {half} tokens, or set truncate",
            code="too_long",
        )
    if len(first) >= len(second):
        windows = windows_of(first_text, first, room - len(second), truncate=False)
        sequences = [encoder.sequence(first.ids[w.start : w.end], second.ids) for w in windows]
    else:
        windows = windows_of(second_text, second, room - len(first), truncate=False)
        sequences = [encoder.sequence(first.ids, second.ids[w.start : w.end]) for w in windows]
    return _Rows(sequences, truncated=False)
