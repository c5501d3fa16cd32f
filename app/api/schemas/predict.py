"""``POST /predict``: the request and the answer of Text Embeddings Inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.api.schemas.classify import LabelScore

_TEXT = {"type": "string", "minLength": 1}
_PAIR = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 2}


@dataclass(frozen=True, slots=True)
class PredictInputs:
    """``inputs`` once read. In TEI a flat list of two strings is one *pair*; a batch is a list of lists."""

    texts: list[str]
    pairs: list[str] | None
    batch: bool


def _read(value: Any) -> PredictInputs:
    if isinstance(value, str):
        return PredictInputs([value], None, batch=False)
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            return _rows([value], batch=False)
        if all(isinstance(item, str) or _is_row(item) for item in value):
            return _rows([[item] if isinstance(item, str) else item for item in value], batch=True)
    raise PydanticCustomError(
        "inputs_type", 'is a string, a pair ["a", "b"], or a batch [["a"], ["b"]] of texts or pairs'
    )


def _is_row(item: object) -> bool:
    return isinstance(item, list) and all(isinstance(text, str) for text in item)


def _rows(rows: list[list[str]], *, batch: bool) -> PredictInputs:
    sizes = {len(row) for row in rows}
    if sizes == {1}:
        return PredictInputs([row[0] for row in rows], None, batch)
    if sizes == {2}:
        return PredictInputs([row[0] for row in rows], [row[1] for row in rows], batch)
    if sizes <= {1, 2}:
        raise PydanticCustomError("inputs_mixed", "mixes single texts and pairs; send them apart")
    raise PydanticCustomError(
        "inputs_length", 'is neither one text, a pair of two nor a batch; send a batch as [["a"], ["b"]]'
    )


class PredictRequest(BaseModel):
    """Texts to classify, as TEI takes them. Like TEI, fields that are not known are passed over."""

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        json_schema_extra={"examples": [{"inputs": [["I like you."], ["I hate pineapples."]]}]},
    )

    inputs: Annotated[
        PredictInputs,
        BeforeValidator(_read),
        WithJsonSchema({"anyOf": [_TEXT, _PAIR, {"type": "array", "items": _PAIR, "minItems": 1}]}),
    ] = Field(
        description='A text, one pair `["a", "b"]`, or a batch `[["a"], ["b"]]` of texts or of pairs.',
        examples=["I like you.", [["I like you."], ["I hate pineapples."]]],
    )
    model: str | None = Field(None, description="Name of the model; the default classifier when left out.")
    truncate: bool | None = Field(None, description="Cut texts that are longer than the model.")
    truncation_direction: Literal["Left", "Right", "left", "right"] = Field(
        "Right", description="Where a cut text loses its tokens."
    )
    raw_scores: bool = Field(False, description="Answer with logits instead of probabilities.")


PredictResponse = list[LabelScore] | list[list[LabelScore]]
"""Labels best first; for a batch, one such list for each input."""
