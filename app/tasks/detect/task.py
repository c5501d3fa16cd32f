"""Replaced-token detection from texts to answers.

Every token gets the discriminator's calibrated probability, ``sigmoid(logit / temperature)``, from the
window in which it stands furthest from a cut. Units, flags and spans follow from these numbers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.runtime.batch import Outputs
from app.scheduler.engine import RequestContext
from app.tasks.detect.calibration import replaced_probabilities, temperature_of
from app.tasks.detect.grouping import group_tokens
from app.tasks.detect.options import DetectOptions, check_options, protected_ranges
from app.tasks.detect.places import Place, find_place
from app.tasks.detect.results import Detection, ReplacedSpan, ReplacedToken, Suggestion
from app.tasks.detect.suggest import suggest
from app.tasks.detect.units import (
    FlaggedSpan,
    Units,
    document_score,
    exempt_ranges,
    flagged_spans,
    score_units,
)
from app.tasks.helpers import check_wanted
from app.tasks.inputs import Prepared, off_loop, prepare_texts
from app.tasks.model import ServedModel
from app.text.offsets import Utf16Positions
from app.text.scripts import mark_classes
from app.text.sequence import TokenSequence
from app.text.windows import merge_centre

BoolArray = npt.NDArray[np.bool_]

TOKENS_PER_CALL = 32_768
"""Tokens whose hidden states may be in memory at once: 32 MB at a hidden size of 256."""


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """One text as the discriminator sees it."""

    prepared: Prepared
    units: Units
    flagged: BoolArray
    spans: list[FlaggedSpan]
    score: float


async def detect_replaced(
    model: ServedModel, inputs: list[str], options: DetectOptions, context: RequestContext
) -> list[Detection]:
    """Read ``inputs`` with the discriminator and say which parts look replaced.

    The windows of all inputs are read together; suggestions add one generator pass and one
    discriminator pass for each window that holds a flagged span.

    Raises:
        ValidationFailed: an input is empty or malformed, or an option cannot be had from this model.
    """
    threshold = check_options(model, inputs, options)
    characters = sum(map(len, inputs))
    prepared = await prepare_texts(model.encoder, inputs, context, truncate=options.truncate)
    rows = [
        model.encoder.sequence(item.encoded.ids[window.start : window.end])
        for item in prepared
        for window in item.windows
    ]
    outputs = await _logits(model, rows, context)
    temperature = temperature_of(model)
    readings = await off_loop(characters, _read_all, prepared, outputs, temperature, threshold, options)
    suggestions: list[list[Suggestion]] = [[] for reading in readings for _ in reading.spans]
    if options.suggestions:
        places = await off_loop(characters, _places, readings)
        found = await suggest(
            model,
            list(places.values()),
            options.suggestions,
            context,
            sound_alike=options.sound_alike,
            shape_alike=options.shape_alike,
        )
        for index, repairs in zip(places, found, strict=True):
            suggestions[index] = repairs
    return await off_loop(characters, _answer_all, readings, suggestions, threshold, options)


async def _logits(
    model: ServedModel, rows: Sequence[TokenSequence], context: RequestContext
) -> list[Outputs]:
    """Logits of ``rows``, in calls of ``TOKENS_PER_CALL``.

    The graph gives hidden states too. Those of a long document would fill the memory if they were kept.
    """
    outputs: list[Outputs] = []
    start = tokens = 0
    for end, row in enumerate(rows, 1):
        tokens += len(row)
        if tokens >= TOKENS_PER_CALL or end == len(rows):
            answers = await model.engine.infer(rows[start:end], context)
            outputs.extend({"logits": answer["logits"]} for answer in answers)
            start, tokens = end, 0
    return outputs


def _read_all(
    prepared: Sequence[Prepared],
    outputs: Sequence[Outputs],
    temperature: float,
    threshold: float,
    options: DetectOptions,
) -> list[_Reading]:
    readings = []
    start = 0
    for item in prepared:
        check_wanted()
        mine = outputs[start : start + len(item.windows)]
        start += len(item.windows)
        readings.append(_read(item, mine, temperature, threshold, options))
    return readings


def _read(
    item: Prepared, outputs: Sequence[Outputs], temperature: float, threshold: float, options: DetectOptions
) -> _Reading:
    # What was cut off on request has no probability, and so no unit.
    encoded = item.encoded.upto(item.windows[-1].end)
    # [CLS] and [SEP] have logits too, and no place in the text.
    logits = [output["logits"][1:-1] for output in outputs]
    values = [replaced_probabilities(window_logits, temperature) for window_logits in logits]
    probabilities = merge_centre(item.windows, values, len(encoded))
    ignored = mark_classes(item.text, options.ignore)
    protected = np.zeros(len(item.text), bool)
    for start, end in protected_ranges(item.text, options):
        protected[start:end] = True
    grouping = group_tokens(item.text, encoded, options.granularity)
    exempt = exempt_ranges(grouping.offsets, ignored, protected)
    units = score_units(grouping, encoded, probabilities, exempt)
    flagged = units.flagged(threshold, flag_unknown=options.flag_unknown)
    spans = flagged_spans(item.text, units, flagged)
    return _Reading(item, units, flagged, spans, document_score(encoded, probabilities, ignored, protected))


def _places(readings: Sequence[_Reading]) -> dict[int, Place]:
    """Where suggestions can be had, by the running number of the span over all texts."""
    found = (
        find_place(index, reading.prepared, span)
        for index, reading in enumerate(readings)
        for span in reading.spans
    )
    return {number: place for number, place in enumerate(found) if place is not None}


def _answer_all(
    readings: Sequence[_Reading],
    suggestions: Sequence[list[Suggestion]],
    threshold: float,
    options: DetectOptions,
) -> list[Detection]:
    answers = []
    start = 0
    for index, reading in enumerate(readings):
        check_wanted()
        mine = suggestions[start : start + len(reading.spans)]
        start += len(reading.spans)
        answers.append(_answer(index, reading, mine, threshold, options))
    return answers


def _answer(
    index: int,
    reading: _Reading,
    suggestions: Sequence[list[Suggestion]],
    threshold: float,
    options: DetectOptions,
) -> Detection:
    text = reading.prepared.text
    convert = Utf16Positions(text).from_code_point if options.offset_unit == "utf16" else int
    windows = reading.prepared.windows
    units = reading.units
    columns = (units.grouping.offsets, units.scores, reading.flagged, units.unknown, units.ignored)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return Detection(
        index=index,
        tokens=[
            ReplacedToken(
                position, text[start:end], convert(start), convert(end), score, replaced, unknown, ignored
            )
            for position, ((start, end), score, replaced, unknown, ignored) in enumerate(rows)
        ],
        spans=[
            ReplacedSpan(
                start=convert(span.start),
                end=convert(span.end),
                text=text[span.start : span.end],
                score=span.score,
                suggestions=found,
            )
            for span, found in zip(reading.spans, suggestions, strict=True)
        ],
        score=reading.score,
        threshold=threshold,
        offset_unit=options.offset_unit,
        windows=len(windows),
        truncated=reading.prepared.truncated,
        prompt_tokens=sum(len(window) + 2 for window in windows),
    )
