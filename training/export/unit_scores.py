"""Scores of the units that labels speak of: characters of Chinese, words of English, as served."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from app.scheduler.engine import RequestContext
from app.tasks.detect import Detection, DetectOptions, detect_replaced
from app.tasks.model import ServedModel
from training.errors import naming_rows
from training.tables import REPLACED, Example

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class UnitScores:
    """Every labelled unit of a set of texts.

    Attributes:
        scores: float64 ``[units]``, probability of having been replaced; 0 where the service would never
            flag the unit: ignored characters (punctuation, URLs, emoji), unknown tokens, blanks.
        wrong: bool ``[units]``, the label.
        scored: bool ``[units]``, the service gives the unit a score and could flag it.
        text: int64 ``[units]``, which text it stands in.
        texts: how many texts there are.
    """

    scores: FloatArray
    wrong: BoolArray
    scored: BoolArray
    text: npt.NDArray[np.int64]
    texts: int

    @property
    def logits(self) -> FloatArray:
        """The scores as log-odds, finite."""
        clipped = np.clip(self.scores, 1e-15, 1 - 1e-15)
        return np.log(clipped) - np.log1p(-clipped)

    def sentence_labels(self) -> BoolArray:
        """bool ``[texts]``: has an error."""
        labels = np.zeros(self.texts, bool)
        labels[self.text[self.wrong]] = True
        return labels


def score_units(model: ServedModel, examples: Sequence[Example], *, progress: bool = False) -> UnitScores:
    """Run ``POST /detect-replaced``'s own code on ``examples`` (task ``error_detection``) with its defaults.

    A unit that several served characters make up gets the greatest of their scores.

    Raises:
        UserError: a text that the service refuses, by its place.
    """
    scores: list[FloatArray] = []
    scored: list[BoolArray] = []
    options = DetectOptions(threshold=1.0, granularity="char")
    with tqdm(total=len(examples), desc="detect", unit="text", disable=not progress) as bar:
        for start in range(0, len(examples), _TEXTS_AT_ONCE):
            part = examples[start : start + _TEXTS_AT_ONCE]
            texts = [example.text for example in part]
            with naming_rows([example.place for example in part]):
                detections = asyncio.run(detect_replaced(model, texts, options, RequestContext()))
            for example, detection in zip(part, detections, strict=True):
                unit_scores, unit_scored = _of_units(example, detection)
                scores.append(unit_scores)
                scored.append(unit_scored)
            bar.update(len(part))
    wrong = [np.array([label == REPLACED for label in example.labels], bool) for example in examples]
    return UnitScores(
        scores=np.concatenate(scores),
        wrong=np.concatenate(wrong),
        scored=np.concatenate(scored),
        text=np.repeat(np.arange(len(examples)), [len(labels) for labels in wrong]),
        texts=len(examples),
    )


def _of_units(example: Example, detection: Detection) -> tuple[FloatArray, BoolArray]:
    by_character = np.zeros(len(example.text))
    reachable = np.zeros(len(example.text), bool)
    for token in detection.tokens:
        if not token.unknown and not token.ignored:
            place = slice(token.start, token.end)
            by_character[place] = np.maximum(by_character[place], token.score)
            reachable[place] = True
    return (
        np.array([by_character[start:end].max(initial=0.0) for start, end in example.units]),
        np.array([reachable[start:end].any() for start, end in example.units], bool),
    )
