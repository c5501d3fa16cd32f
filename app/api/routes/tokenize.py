"""``POST /tokenize``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.route import JsonResponse, JsonRoute
from app.api.schemas.tokenize import TokenizeRequest, TokenizeResponse
from app.api.service import current
from app.errors import ModelNotFound
from app.tasks.inputs import encode_texts

router = APIRouter(route_class=JsonRoute, tags=["tasks"])


@router.post(
    "/tokenize", response_model=TokenizeResponse, operation_id="tokenize", summary="Turn text into token ids"
)
async def tokenize_endpoint(body: TokenizeRequest, request: Request) -> Response:
    """The ids that a model reads for a text, and where each of them stands in it."""
    service, call = current(request)
    service.admit(call, [body.prompt], field="prompt")
    try:
        model = service.model_for(call, body.model, "classify", computes=False)
    except ModelNotFound:
        model = service.model_for(call, body.model, "encode", computes=False)
    (encoded,) = await encode_texts(model.encoder, [body.prompt], call.context, field="prompt")
    ids: list[int] = encoded.ids.tolist()
    offsets: list[list[int]] = encoded.offsets.tolist()
    if body.add_special_tokens:
        marks = model.encoder.special_tokens
        ids = [marks.cls, *ids, marks.sep]
        offsets = [[0, 0], *offsets, [0, 0]]
    call.tokens = len(ids)
    return JsonResponse(
        {
            "count": len(ids),
            "max_model_len": model.bundle.manifest.max_tokens,
            "tokens": ids,
            "offsets": offsets,
            "token_strs": [model.encoder.pieces[token] for token in ids] if body.return_token_strs else None,
        }
    )
