"""``POST /summarize``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.envelope import envelope
from app.api.route import JsonRoute
from app.api.schemas.summarize import SummarizeRequest, SummarizeResponse
from app.api.service import current
from app.errors import ValidationFailed
from app.tasks.summarize import SummarizeOptions, summarize

router = APIRouter(route_class=JsonRoute, tags=["tasks"])


@router.post(
    "/summarize", response_model=SummarizeResponse, operation_id="summarize", summary="Summarize texts"
)
async def summarize_endpoint(body: SummarizeRequest, request: Request) -> Response:
    """Choose the sentences that say what a text is about. Nothing is written that the text does not hold.

    Texts of any length are read whole, so `truncate` cannot be asked for here.
    """
    service, call = current(request)
    if body.truncate:
        raise ValidationFailed("truncate", "cannot be had here: sentences are read one by one, none is cut")
    service.admit(call, body.input)
    model = service.model_for(call, body.model, "encode", computes=body.method != "lead")
    options = SummarizeOptions(
        num_sentences=body.num_sentences,
        ratio=body.ratio,
        max_chars=body.max_chars,
        method=body.method,
        pooling=body.pooling,
        diversity=body.diversity,
        order=body.order,
        offset_unit=body.offset_unit,
    )
    results = await summarize(model, body.input, options, call.context)
    return envelope("summarize", call, model, results)
