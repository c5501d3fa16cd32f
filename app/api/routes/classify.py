"""``POST /classify``."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from app.api.envelope import envelope
from app.api.route import JsonRoute
from app.api.schemas.classify import ClassifyRequest, ClassifyResponse
from app.api.service import current
from app.api.truncation import cut_texts
from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from app.tasks.classify import Classification, classify, classify_ids
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
    truncate = bool(body.truncate) or body.truncate_prompt_tokens is not None
    if body.token_ids is not None:
        results = await classify_ids(
            model,
            _cut_ids(body, body.token_ids, model.bundle.manifest.max_tokens, truncate),
            function_to_apply=body.function,
            top_k=body.top_k,
            context=call.context,
        )
        shortened = [
            len(ids) > result.prompt_tokens for ids, result in zip(body.token_ids, results, strict=True)
        ]
        return envelope("classify", call, model, mark_cut(results, shortened))
    inputs, cut = await _cut(model, body, truncate, call.context)
    results = await classify(
        model,
        inputs,
        text_pair=body.text_pair,
        function_to_apply=body.function,
        top_k=body.top_k,
        truncate=truncate,
        context=call.context,
    )
    return envelope("classify", call, model, mark_cut(results, cut))


async def _cut(
    model: ServedModel, body: ClassifyRequest, truncate: bool, context: RequestContext
) -> tuple[list[str], list[bool]]:
    """Cut here what the task cannot: to a number of tokens, or on the left."""
    texts, tokens, side = body.texts, body.truncate_prompt_tokens, body.truncation_side or "right"
    if not truncate or (side == "right" and tokens in (None, -1)):
        return texts, [False] * len(texts)
    if body.text_pair is not None:
        raise ValidationFailed("truncation_side", "and truncate_prompt_tokens cannot be had for pairs")
    parts = await cut_texts(model, texts, tokens, side, context, field="input")
    return [text for text, _ in parts], [cut for _, cut in parts]


def _cut_ids(body: ClassifyRequest, rows: list[list[int]], limit: int, truncate: bool) -> list[list[int]]:
    """Cut rows of ids as vLLM does: plainly, special tokens or not."""
    if body.text_pair is not None:
        raise ValidationFailed("text_pair", "cannot go with token ids; send texts")
    if not truncate:
        return rows
    tokens = body.truncate_prompt_tokens
    keep = limit if tokens is None or tokens < 0 else min(tokens, limit)
    if keep == 0:
        raise ValidationFailed("truncate_prompt_tokens", "is 0; ask for at least 1")
    return [row[-keep:] if body.truncation_side == "left" else row[:keep] for row in rows]


def mark_cut(results: list[Classification], cut: list[bool]) -> list[Classification]:
    """Say ``truncated`` where the text was cut before the task saw it."""
    return [
        replace(result, truncated=True) if was_cut else result
        for result, was_cut in zip(results, cut, strict=True)
    ]
