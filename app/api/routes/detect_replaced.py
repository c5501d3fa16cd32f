"""``POST /detect-replaced``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.envelope import envelope
from app.api.route import JsonRoute
from app.api.schemas.detect_replaced import DetectRequest, DetectResponse, ProtectedRange
from app.api.service import current
from app.tasks.detect import DetectOptions, detect_replaced

router = APIRouter(route_class=JsonRoute, tags=["tasks"])


@router.post(
    "/detect-replaced",
    response_model=DetectResponse,
    operation_id="detect_replaced",
    summary="Find words that look replaced",
)
async def detect_endpoint(body: DetectRequest, request: Request) -> Response:
    """Give each part of a text the probability that it is not what a writer would have put there.

    Flagged parts come together as spans, with repairs on request. Offsets point into the text as sent.
    """
    service, call = current(request)
    service.admit(call, body.input)
    model = service.model_for(call, body.model, "encode")
    options = DetectOptions(
        threshold=body.threshold,
        granularity=body.granularity,
        suggestions=body.suggestions,
        sound_alike=body.sound_alike,
        shape_alike=body.shape_alike,
        ignore=tuple(body.ignore),
        protected=tuple(
            (item.start, item.end) if isinstance(item, ProtectedRange) else item for item in body.protected
        ),
        flag_unknown=body.flag_unknown,
        offset_unit=body.offset_unit,
        truncate=bool(body.truncate),
    )
    results = await detect_replaced(model, body.input, options, call.context)
    return envelope("detect", call, model, results)
