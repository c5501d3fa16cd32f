"""Probes: is the process alive, and may it be sent work?"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.route import JsonResponse
from app.api.schemas.health import Health
from app.api.service import service_of

router = APIRouter(tags=["probes"])


def _answer(healthy: bool, status: str, reason: str) -> Response:
    response = JsonResponse({"status": status, "reason": reason}, 200 if healthy else 503)
    response.headers["cache-control"] = "no-store"
    if not healthy:
        response.headers["retry-after"] = "1"
    return response


@router.get("/livez", response_model=Health, operation_id="livez", summary="Is the process alive?")
@router.get("/v2/health/live", response_model=Health, operation_id="v2_live", summary="KServe: alive?")
async def live(request: Request) -> Response:
    """200 unless the engine has died; also while models are loaded and while the service drains."""
    lifecycle = service_of(request).lifecycle
    return _answer(lifecycle.alive, lifecycle.status, lifecycle.reason)


@router.get("/readyz", response_model=Health, operation_id="readyz", summary="May it be sent work?")
@router.get("/health", response_model=Health, operation_id="health", summary="The same, TEI's name")
@router.get("/v2/health/ready", response_model=Health, operation_id="v2_ready", summary="KServe: ready?")
async def ready(request: Request) -> Response:
    """200 when at least one model is served, the default ones among them, and the service is not stopping."""
    lifecycle = service_of(request).lifecycle
    return _answer(lifecycle.ready, lifecycle.status, lifecycle.reason)
