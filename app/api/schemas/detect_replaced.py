"""``POST /detect-replaced``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from app.api.schemas.common import FIRST_FAULT, Envelope, Request, TaskRequest, example
from app.tasks.detect import (
    DEFAULT_IGNORE,
    MAX_PROTECTED,
    MAX_SUGGESTIONS,
    Granularity,
    ThresholdName,
)
from app.text.offsets import OffsetUnit
from app.text.scripts import CharacterClass


class ProtectedRange(Request):
    """A part of the text, half-open, counted in `offset_unit`."""

    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]


class DetectRequest(TaskRequest):
    """Texts to look through for replaced tokens."""

    model_config = example({"input": "我喜欢吃平果。", "suggestions": 3})

    threshold: Annotated[float, Field(ge=0, le=1)] | ThresholdName = Field(
        "precise",
        description="Probability from which a token counts as replaced, or the name of a threshold that the "
        "bundle was calibrated for.",
    )
    granularity: Granularity = Field(
        "word",
        description="Unit of `tokens`: word pieces, characters as people see them, or words (a Chinese "
        "character is a word of its own).",
    )
    suggestions: Annotated[int, Field(ge=0, le=MAX_SUGGESTIONS)] = Field(
        0, description="Most repairs for each span; more than 0 needs a bundle with a generator."
    )
    sound_alike: bool = Field(
        False,
        description="Weigh Chinese suggestions by how like they sound to what stands there, for text "
        "that was typed by sound.",
    )
    shape_alike: bool = Field(
        False,
        description="Weigh Chinese suggestions by how like they look to what stands there, for text that "
        "was written by shape or read from a scan. With `sound_alike`: what is like in either way.",
    )
    ignore: Annotated[list[CharacterClass], FIRST_FAULT] = Field(
        list(DEFAULT_IGNORE), description="Character classes that are never flagged."
    )
    protected: Annotated[list[str | ProtectedRange], FIRST_FAULT] = Field(
        [],
        max_length=MAX_PROTECTED,
        description="Parts never flagged: strings, wherever they occur, or ranges (of a single input).",
    )
    flag_unknown: bool = Field(False, description="Flag words outside the vocabulary too.")
    offset_unit: OffsetUnit = Field(
        "codepoint",
        description="What offsets count: Unicode code points, or UTF-16 units as JavaScript and Java do.",
    )


class ReplacedToken(BaseModel):
    """One unit of the text."""

    index: int = Field(description="Place in the list, from 0.")
    word: str = Field(description="The text itself, `text[start:end]`.")
    start: int = Field(description="Where it starts in the text as sent.")
    end: int = Field(description="Where it ends, half-open.")
    score: float = Field(description="Calibrated probability that it was replaced, 0 to 1.")
    replaced: bool = Field(description="Whether it is flagged at the threshold.")
    unknown: bool = Field(description="Outside the vocabulary, so that the score says little.")
    ignored: bool = Field(description="In an ignored class or a protected part; never flagged.")


class Suggestion(BaseModel):
    """A repair of one span."""

    text: str = Field(description="What to put in its place.")
    score: float = Field(description="Generator's probability times the discriminator's belief in it.")
    delta: float = Field(description="By how much the span's score falls with it; more is better.")


class ReplacedSpan(BaseModel):
    """Flagged units that touch: what a reader would underline as one."""

    start: int
    end: int
    text: str = Field(description="The text itself, `text[start:end]`.")
    score: float = Field(description="The greatest score of its units.")
    suggestions: list[Suggestion] = Field(description="Best first; empty when none were asked for.")


class Detection(BaseModel):
    """The answer for one input."""

    index: int = Field(description="Which input, from 0.")
    tokens: list[ReplacedToken] = Field(description="Every unit, flagged or not, in text order.")
    spans: list[ReplacedSpan] = Field(description="The flagged ones, put together.")
    score: float = Field(description="The whole text's: the mean over its known, not ignored tokens.")
    threshold: float = Field(description="The number that was used.")
    offset_unit: OffsetUnit = Field(description="What `start` and `end` count.")
    windows: int = Field(description="In how many windows the text was read.")
    truncated: bool = Field(description="Whether part of the text was cut off.")


class DetectResponse(Envelope):
    """Answer of `POST /detect-replaced`."""

    data: list[Detection]
