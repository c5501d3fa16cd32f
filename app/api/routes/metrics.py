"""``GET /metrics`` for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.service import service_of
from app.errors import NotFound

router = APIRouter(tags=["operations"])


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics_endpoint(request: Request) -> Response:
    """The exposition of all metrics; of all worker processes when there are several."""
    metrics = service_of(request).metrics
    if metrics is None:
        raise NotFound("metrics are switched off by ELECTRA_METRICS")
    body, content_type = metrics.render()
    return Response(body, headers={"content-type": content_type})
