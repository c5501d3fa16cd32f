"""``/v1/models``: what is served, and an administrator's changes to it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.keys import presented_key
from app.api.route import JsonResponse, JsonRoute
from app.api.schemas.models import LoadRequest, ModelCard, ModelList, PinRequest
from app.api.service import Service, service_of
from app.bundle import Task
from app.errors import Forbidden, ModelNotFound, Unauthorized
from app.registry import Key, ModelInfo

PREFIX = "/v1/models/"
"""Of the paths that change what is served."""
router = APIRouter(tags=["models"])
admin = APIRouter(route_class=JsonRoute, tags=["models"])

ENDPOINTS: dict[Task, list[str]] = {
    "classify": ["/classify", "/predict"],
    "encode": ["/detect-replaced", "/summarize"],
}


def refused_versions(service: Service) -> list[dict[str, object]]:
    """All refusals as :class:`RefusedVersion` says."""
    refused = service.models.refused()
    return [
        {"name": name, "version": version or None, "reason": why} for (name, version), why in refused.items()
    ]


def cards(service: Service) -> list[dict[str, object]]:
    """All models as :class:`ModelCard` says."""
    refused = service.models.refused()
    return [_card(model, refused) for model in service.models.models()]


def _card(model: ModelInfo, refused: dict[Key, str]) -> dict[str, object]:
    manifest = model.bundle.manifest
    graph = model.graphs["model"]
    return {
        "id": model.name,
        "object": "model",
        "created": int(model.loaded_at),
        "owned_by": "electra",
        "task": model.task,
        "version": model.version,
        "versions": model.versions,
        "pinned": model.pinned,
        "default": model.default,
        "endpoints": ENDPOINTS[model.task],
        "labels": manifest.labels,
        "problem_type": manifest.problem_type,
        "max_tokens": manifest.max_tokens,
        "thresholds": manifest.calibration.thresholds if manifest.calibration else {},
        "suggestions": "generator" in manifest.graphs,
        "summary_method": manifest.pooling.method if manifest.pooling else None,
        "experimental": manifest.experimental,
        "backend": graph.backend,
        "precision": graph.precision,
        "batch_tokens": graph.batch_tokens,
        "tokens_per_second": round(graph.tokens_per_second),
        "metrics": manifest.metrics,
        "provenance": manifest.provenance,
        "refused": {version: why for (name, version), why in refused.items() if name == model.name},
    }


def _card_of(service: Service, name: str) -> JsonResponse:
    found = cards(service)
    for card in found:
        if card["id"] == name:
            return JsonResponse(card)
    known = ", ".join(str(card["id"]) for card in found) or "none"
    raise ModelNotFound(f"no model {name[:80]!r} is served; there are: {known}")


@router.get("/v1/models", response_model=ModelList, operation_id="list_models", summary="What is served")
async def list_models(request: Request) -> Response:
    """All served models, classifiers first, each task's default before the others."""
    service = service_of(request)
    return JsonResponse({"object": "list", "data": cards(service), "refused": refused_versions(service)})


@router.get("/v1/models/{name}", response_model=ModelCard, operation_id="get_model", summary="One model")
async def get_model(name: str, request: Request) -> Response:
    """One served model."""
    return _card_of(service_of(request), name)


@admin.post(
    "/v1/models/{name}/load",
    response_model=ModelCard,
    operation_id="admin_load_model",
    summary="Load or replace a model",
)
async def load_model(name: str, body: LoadRequest, request: Request) -> Response:
    """Verify, warm and swap in a version while requests flow. A version that fails is refused, and what was
    serving still does."""
    service = administrated(request)
    await service.models.load(name, body.version)
    return _card_of(service, name)


@admin.post(
    "/v1/models/{name}/unload", status_code=204, operation_id="admin_unload_model", summary="Unload a model"
)
async def unload_model(name: str, request: Request) -> Response:
    """Serve the model no longer. Requests that are in flight are finished."""
    await administrated(request).models.unload(name)
    return Response(status_code=204)


@admin.post(
    "/v1/models/{name}/pin",
    response_model=ModelCard,
    operation_id="admin_pin_model",
    summary="Hold a version",
)
async def pin_model(name: str, body: PinRequest, request: Request) -> Response:
    """Hold a model at a version, whatever newer ones appear, or let it follow the newest again."""
    service = administrated(request)
    await service.models.pin(name, body.version)
    return _card_of(service, name)


def administrated(request: Request) -> Service:
    """The service, for a caller that has the admin key.

    Raises:
        Forbidden: administration is switched off, or this is an ordinary API key.
        Unauthorized: no key was sent.
    """
    service = service_of(request)
    if not service.admin.enforced:
        raise Forbidden("administration is switched off; start the service with ELECTRA_ADMIN_KEY to use it")
    presented = presented_key(request.scope["headers"])
    if presented is None:
        raise Unauthorized("send the admin key as Authorization: Bearer <key>")
    if not service.admin.accepts(presented):
        raise Forbidden("this needs the admin key")
    return service


router.include_router(admin)
