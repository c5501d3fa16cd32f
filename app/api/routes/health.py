"""Probes: is the process alive, and may it be sent work?"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.route import JsonResponse
from app.api.schemas.health import Health
from app.api.service import service_of

router = APIRouter(tags=["probes"])


def _answer(request: Request, *, healthy: bool, unhealthy_status: int = 503) -> Response:
    lifecycle = service_of(request).lifecycle
    content = {"status": lifecycle.state.value, "reason": lifecycle.reason}
    response = JsonResponse(content, 200 if healthy else unhealthy_status)
    response.headers["cache-control"] = "no-store"
    if not healthy:
        response.headers["retry-after"] = "1"
    return response


@router.get("/livez", response_model=Health, operation_id="livez", summary="Is the process alive?")
@router.get("/v2/health/live", response_model=Health, operation_id="v2_live", summary="KServe: alive?")
async def live(request: Request) -> Response:
    """200 unless the engine has died; also while models are loaded and while the service drains."""
    return _answer(request, healthy=service_of(request).lifecycle.alive)


@router.get("/readyz", response_model=Health, operation_id="readyz", summary="May it be sent work?")
@router.get("/health", response_model=Health, operation_id="health", summary="The same, TEI's name")
@router.get("/v2/health/ready", response_model=Health, operation_id="v2_ready", summary="KServe: ready?")
async def ready(request: Request) -> Response:
    """200 when models are loaded and the service is not stopping."""
    return _answer(request, healthy=service_of(request).lifecycle.ready)
