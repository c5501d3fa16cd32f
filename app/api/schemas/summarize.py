"""``POST /summarize``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from app.api.schemas.common import Envelope, TaskRequest, example
from app.tasks.summarize import DEFAULT_SENTENCES, Method, Order, PoolingName
from app.text.offsets import OffsetUnit

_MOST = 1_000_000
"""Of what a summary may hold: more than any text has, and a number that can be computed with."""


class SummarizeRequest(TaskRequest):
    """Texts to summarize. At most one of `num_sentences`, `ratio` and `max_chars`."""

    model_config = example({"input": "我们去了公园。天气很好！大家都很高兴。", "num_sentences": 1})

    num_sentences: Annotated[int, Field(ge=1, le=_MOST)] | None = Field(
        None,
        description="Exactly so many sentences, or all distinct ones where there are fewer; "
        f"{DEFAULT_SENTENCES} when no length is given.",
    )
    ratio: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="This share of the sentences, rounded to the nearest number and at least one."
    )
    max_chars: Annotated[int, Field(ge=1, le=_MOST)] | None = Field(
        None, description="Most characters (code points) of `summary_text`."
    )
    method: Method | None = Field(
        None,
        description="How sentences are chosen; the bundle's own choice (`kmeans` unless measured otherwise) "
        "when left out.",
    )
    pooling: PoolingName | None = Field(
        None, description="How token vectors become a sentence vector; the bundle's choice when left out."
    )
    diversity: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="How much likeness to sentences already chosen counts against one; 0 not at all."
    )
    order: Order = Field(
        "position", description="Order of the sentences in `summary_text`: as in the text, or best first."
    )
    offset_unit: OffsetUnit = Field(
        "codepoint",
        description="What offsets count: Unicode code points, or UTF-16 units as JavaScript and Java do.",
    )


class SummarySentence(BaseModel):
    """One sentence of the text, chosen or not."""

    index: int = Field(description="Place in the list, from 0.")
    text: str = Field(description="The sentence itself, `text[start:end]`.")
    start: int = Field(description="Where it starts in the text as sent.")
    end: int = Field(description="Where it ends, half-open.")
    score: float = Field(description="What the method thinks of it; comparable within one text only.")
    cluster: int | None = Field(description="Its k-means cluster; null for other methods.")
    selected: bool = Field(description="Whether it is part of the summary.")


class Summary(BaseModel):
    """The answer for one input."""

    index: int = Field(description="Which input, from 0.")
    summary_text: str = Field(description="The selected sentences, joined.")
    sentences: list[SummarySentence] = Field(description="Every sentence, in text order.")
    k: int = Field(description="How many are selected.")
    method: Method = Field(description="The method that was used.")
    offset_unit: OffsetUnit = Field(description="What `start` and `end` count.")


class SummarizeResponse(Envelope):
    """Answer of `POST /summarize`."""

    data: list[Summary]
