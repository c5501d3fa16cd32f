"""``POST /predict``: what clients of Text Embeddings Inference send, answered as it would."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.call import Call
from app.api.route import JsonResponse, JsonRoute
from app.api.schemas.predict import PredictRequest, PredictResponse
from app.api.service import current
from app.api.truncation import cut_texts
from app.errors import ValidationFailed
from app.tasks.classify import classify

router = APIRouter(route_class=JsonRoute, tags=["tasks"])


@router.post(
    "/predict",
    response_model=PredictResponse,
    operation_id="predict",
    summary="Classify texts, Text Embeddings Inference's way",
)
async def predict_endpoint(body: PredictRequest, request: Request) -> Response:
    """Labels best first. Note that a flat list of two strings is one pair; a batch is a list of lists."""
    service, call = current(request)
    inputs = body.inputs
    service.admit(call, inputs.texts, inputs.pairs, field="inputs")
    model = service.model_for(call, body.model, "classify")
    texts = inputs.texts
    if body.truncate and body.truncation_direction.lower() == "left":
        if inputs.pairs is not None:
            raise ValidationFailed("truncation_direction", "Left cannot be had for pairs; cut them yourself")
        cut = await cut_texts(model, texts, None, "left", call.context, field="inputs")
        texts = [text for text, _ in cut]
    results = await classify(
        model,
        texts,
        text_pair=inputs.pairs,
        function_to_apply="none" if body.raw_scores else None,
        top_k=None,
        truncate=bool(body.truncate),
        context=call.context,
        fields=("inputs", "inputs"),
    )
    call.tokens = sum(result.prompt_tokens for result in results)
    scores = [result.scores for result in results]
    response = JsonResponse(scores if inputs.batch else scores[0])
    response.headers.update(_tei_headers(call))
    return response


def _tei_headers(call: Call) -> dict[str, str]:
    """The headers of TEI's answers; times in whole milliseconds."""
    timing = call.context.timing
    return {
        "x-compute-type": "cpu",
        "x-compute-characters": str(call.characters),
        "x-compute-tokens": str(call.tokens),
        "x-total-time": str(round(call.seconds * 1000)),
        "x-tokenization-time": str(round(timing.tokenize * 1000)),
        "x-queue-time": str(round(timing.queue * 1000)),
        "x-inference-time": str(round(timing.inference * 1000)),
    }
