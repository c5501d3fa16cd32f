"""Fields that several requests share, and the envelope in which the task endpoints answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

MOST_FIELDS = 64
"""Fields that a request may name, known or not. Each unknown one is an error of its own, and a body of a few
megabytes holds enough of them to keep the event loop busy for a minute."""

TEXTS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
}
IDS_SCHEMA: dict[str, Any] = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}


def as_list(value: object) -> object:
    """A single text as a list of one."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise PydanticCustomError("texts_type", "is a string or a list of strings")
    return value


class _FirstFault:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return {**handler(source), "fail_fast": True}


FIRST_FAULT = _FirstFault()
"""Marks a list whose first fault ends its check: to write down millions of them would take minutes and
gigabytes. (pydantic's own mark cannot stand inside a union.)"""

Texts = Annotated[list[str], FIRST_FAULT, BeforeValidator(as_list), WithJsonSchema(TEXTS_SCHEMA)]
"""One text or a list of texts; always a list once it has been read."""


class Request(BaseModel):
    """What every request body holds to: no unknown fields, no guessing of types."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _not_too_many_fields(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MOST_FIELDS:
            raise PydanticCustomError(
                "too_many_fields", f"holds {len(value)} fields; send those that are documented"
            )
        return value


def example(body: dict[str, JsonValue]) -> ConfigDict:
    """Configuration of a request that shows ``body`` in the reference, ready to be tried."""
    return ConfigDict(json_schema_extra={"examples": [body]})


class TaskRequest(Request):
    """Fields of all three tasks."""

    input: Texts = Field(
        validation_alias=AliasChoices("input", "inputs", "text"),
        description="One text, or a list of them. `inputs` and `text` are read as the same field.",
        examples=["我喜欢吃苹果。"],
    )
    model: str | None = Field(
        None,
        description="Name of the model, or `name@version`; the default one of the task when left out.",
    )
    truncate: bool | None = Field(
        None,
        description="Cut what is longer than the model instead of reading it in overlapping windows. "
        "`truncated` in the answer says whether anything was cut.",
    )
    user: str | None = Field(None, description="Taken for compatibility with OpenAI's clients; not used.")


class Usage(BaseModel):
    """Tokens that the model read, special tokens included."""

    prompt_tokens: int = Field(description="Tokens of all inputs, overlaps of windows counted twice.")
    total_tokens: int = Field(description="The same: nothing is generated.")


class Envelope(BaseModel):
    """What every task answers with."""

    id: str = Field(description="Identifies this answer; ends with the request id.")
    object: Literal["list"] = Field(description="Always `list`.")
    created: int = Field(description="Unix time in seconds.")
    model: str = Field(description="Name of the model that answered; its version is in X-Model-Version.")
    usage: Usage
