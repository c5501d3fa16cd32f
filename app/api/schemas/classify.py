"""``POST /classify``: vLLM's request and answer, and more."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from app.api.schemas.common import (
    FIRST_FAULT,
    IDS_SCHEMA,
    TEXTS_SCHEMA,
    Envelope,
    TaskRequest,
    Texts,
    as_list,
    example,
)
from app.tasks.classify import FunctionToApply


def _texts_or_ids(value: object) -> object:
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        return [value]
    return as_list(value)


def _kind(value: object) -> str:
    """What the first item is decides, so that a mistake further on is reported as one."""
    first = value[0] if isinstance(value, list) and value else None
    return "list[list[int]]" if isinstance(first, list) else "list[str]"


TextsOrIds = Annotated[
    Annotated[list[str], FIRST_FAULT, Tag("list[str]")]
    | Annotated[list[Annotated[list[int], FIRST_FAULT]], FIRST_FAULT, Tag("list[list[int]]")],
    Discriminator(_kind),
    BeforeValidator(_texts_or_ids),
    WithJsonSchema(
        {
            "anyOf": [
                *TEXTS_SCHEMA["anyOf"],
                {"type": "array", "items": IDS_SCHEMA, "minItems": 1},
                IDS_SCHEMA,
            ]
        }
    ),
]


class ClassifyRequest(TaskRequest):
    """Texts to classify."""

    model_config = example({"input": ["房间很干净，下次还会来。", "The room was dirty."]})

    input: TextsOrIds = Field(  # type: ignore[assignment]
        validation_alias=AliasChoices("input", "inputs", "text"),
        description="One text, or a list of them; or token ids with special tokens, as `POST /tokenize` "
        "gives them. `inputs` and `text` are read as the same field.",
        examples=["我喜欢吃苹果。"],
    )

    text_pair: Texts | None = Field(
        None, description="The second text of each pair, as many as `input`, for models trained on pairs."
    )
    top_k: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How many of `scores` to return, best first; all when left out."
    )
    function_to_apply: FunctionToApply | None = Field(
        None,
        description="What turns logits into scores; softmax for single-label models and sigmoid for "
        "multi-label ones when left out.",
    )
    use_activation: bool | None = Field(
        None, description="vLLM's name: false is the same as `function_to_apply: none`."
    )
    truncate_prompt_tokens: Annotated[int, Field(ge=-1)] | None = Field(
        None,
        description="vLLM's name: read at most so many tokens, special tokens included; -1 is what the model "
        "takes.",
    )
    truncation_side: Literal["left", "right"] | None = Field(
        None, description="Where a cut text loses its tokens; right when left out."
    )
    add_special_tokens: Literal[True] | None = Field(
        None, description="Taken for compatibility with vLLM; special tokens are always added."
    )
    priority: int | None = Field(None, description="Taken for compatibility with vLLM; not used.")

    @property
    def texts(self) -> list[str]:
        """The inputs as texts; empty when they are token ids."""
        return [item for item in self.input if isinstance(item, str)]

    @property
    def token_ids(self) -> list[list[int]] | None:
        """The inputs as token ids; None when they are texts."""
        rows = [item for item in self.input if not isinstance(item, str)]
        return rows or None

    @property
    def function(self) -> FunctionToApply | None:
        """The activation that was asked for under either name."""
        if self.function_to_apply is None and self.use_activation is False:
            return "none"
        return self.function_to_apply


class LabelScore(BaseModel):
    """A label and its score."""

    label: str
    score: float = Field(description="A probability, or the logit itself with `function_to_apply: none`.")


class Classification(BaseModel):
    """The answer for one input."""

    index: int = Field(description="Which input, from 0.")
    label: str = Field(description="The label with the highest score.")
    score: float = Field(description="Its score.")
    probs: list[float] = Field(description="Scores of all labels, in the model's own order.")
    num_classes: int = Field(description="How many labels the model knows.")
    scores: list[LabelScore] = Field(description="Labels with their scores, best first, `top_k` of them.")
    windows: int = Field(description="In how many windows the text was read; more than 1 for long texts.")
    truncated: bool = Field(description="Whether part of the text was cut off.")


class ClassifyResponse(Envelope):
    """Answer of `POST /classify`."""

    data: list[Classification]
