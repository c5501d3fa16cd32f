"""What ``POST /detect-replaced`` says about one input. Offsets count the unit that ``offset_unit`` names."""

from __future__ import annotations

from dataclasses import dataclass

from app.text.offsets import OffsetUnit


@dataclass(frozen=True, slots=True)
class ReplacedToken:
    """One unit of the text: a token, a character or a word, as ``granularity`` asked.

    Attributes:
        index: place in the list.
        word: the text itself, ``text[start:end]``.
        start, end: half-open range in the text as sent.
        score: calibrated probability of having been replaced, 0 to 1; of a unit of several tokens, the
            greatest.
        replaced: flagged, that is the score reaches the threshold and neither ``unknown`` nor ``ignored``
            forbids it.
        unknown: not in the vocabulary, so the score says little.
        ignored: in an ignored character class or a protected part; never flagged at any threshold.
    """

    index: int
    word: str
    start: int
    end: int
    score: float
    replaced: bool
    unknown: bool
    ignored: bool


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A repair of one span.

    Attributes:
        text: what to put in its place.
        score: the generator's probability of it times the discriminator's belief (1 - probability of having
            been replaced) in it, times its likeness in sound where that was asked for; 0 to 1. Suggestions
            are ranked by this.
        delta: by how much the span's score falls with it; positive is better.
    """

    text: str
    score: float
    delta: float


@dataclass(frozen=True, slots=True)
class ReplacedSpan:
    """Flagged units that touch and are in one script: what a reader would underline as one.

    ``score`` is the greatest of its units; ``suggestions`` are best first.
    """

    start: int
    end: int
    text: str
    score: float
    suggestions: list[Suggestion]


@dataclass(frozen=True, slots=True)
class Detection:
    """The answer for one input.

    Attributes:
        index: which input.
        tokens: every unit, flagged or not, in text order.
        spans: the flagged ones, put together.
        score: the whole text's, the mean over its known tokens that are not ignored, 0 to 1.
        threshold: the number that was used.
        offset_unit: what ``start`` and ``end`` count.
        windows: in how many windows the text was read.
        truncated: whether part of the text was cut off, which happens only on request.
        prompt_tokens: tokens that the model read, special tokens and overlaps included, suggestions not.
    """

    index: int
    tokens: list[ReplacedToken]
    spans: list[ReplacedSpan]
    score: float
    threshold: float
    offset_unit: OffsetUnit
    windows: int
    truncated: bool
    prompt_tokens: int
