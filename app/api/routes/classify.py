"""``POST /classify``."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from app.api.envelope import envelope
from app.api.route import JsonRoute
from app.api.schemas.classify import ClassifyRequest, ClassifyResponse
from app.api.service import current
from app.api.truncation import cut_text
from app.errors import ValidationFailed
from app.tasks.classify import Classification, classify
from app.tasks.model import ServedModel

router = APIRouter(route_class=JsonRoute, tags=["tasks"])


@router.post("/classify", response_model=ClassifyResponse, operation_id="classify", summary="Classify texts")
async def classify_endpoint(body: ClassifyRequest, request: Request) -> Response:
    """Give each text the labels of a fine-tuned model with their scores.

    Takes vLLM's request and answers with vLLM's fields and more. Long texts are read in overlapping windows
    unless `truncate` asks for a cut.
    """
    service, call = current(request)
    service.admit(call, body.input, body.text_pair)
    model = service.model_for(call, body.model, "classify")
    inputs, cut = _cut(model, body)
    results = await classify(
        model,
        inputs,
        text_pair=body.text_pair,
        function_to_apply=body.function,
        top_k=body.top_k,
        truncate=bool(body.truncate) or body.truncate_prompt_tokens is not None,
        context=call.context,
    )
    return envelope("classify", call, model, mark_cut(results, cut))


def _cut(model: ServedModel, body: ClassifyRequest) -> tuple[list[str], list[bool]]:
    """Cut here what the task cannot: to a number of tokens, or on the left."""
    tokens, side = body.truncate_prompt_tokens, body.truncation_side or "right"
    wanted = bool(body.truncate) or tokens is not None
    if not wanted or (side == "right" and tokens in (None, -1)):
        return body.input, [False] * len(body.input)
    if body.text_pair is not None:
        raise ValidationFailed("truncation_side", "and truncate_prompt_tokens cannot be had for pairs")
    several = len(body.input) > 1
    parts = [
        cut_text(model, text, tokens, side, f"input.{index}" if several else "input")
        for index, text in enumerate(body.input)
    ]
    return [text for text, _ in parts], [cut for _, cut in parts]


def mark_cut(results: list[Classification], cut: list[bool]) -> list[Classification]:
    """Say ``truncated`` where the text was cut before the task saw it."""
    return [
        replace(result, truncated=True) if was_cut else result
        for result, was_cut in zip(results, cut, strict=True)
    ]
