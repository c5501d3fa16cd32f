"""``GET /info``: the service, its limits and its models on one page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.route import JsonResponse
from app.api.routes.models import cards, refused_versions
from app.api.schemas.models import Info
from app.api.service import service_of
from app.bundle import Manifest

router = APIRouter(tags=["models"])


@router.get("/info", response_model=Info, operation_id="info", summary="The service and its limits")
async def info(request: Request) -> Response:
    """What Text Embeddings Inference says at this path, and each model with its backend."""
    service = service_of(request)
    settings = service.settings
    models = service.models.models()
    main = next((model for model in models if model.task == "classify" and model.default), None)
    manifest = main.bundle.manifest if main else None
    labels = manifest.labels if manifest else []
    running = main.graphs["model"] if main else None
    return JsonResponse(
        {
            "service": "electra",
            "version": service.version,
            "status": service.lifecycle.status,
            "model_id": main.name if main else None,
            "model_sha": _checksum(manifest, running.precision) if manifest and running else None,
            "model_dtype": running.precision if running else None,
            "model_type": {
                "classifier": {
                    "id2label": {str(index): label for index, label in enumerate(labels)},
                    "label2id": {label: index for index, label in enumerate(labels)},
                }
            },
            "max_input_length": manifest.max_tokens if manifest else None,
            "max_client_batch_size": settings.max_items,
            "max_characters": settings.max_characters,
            "max_body_bytes": settings.max_body_bytes,
            "max_batch_tokens": running.batch_tokens if running else None,
            "max_queue_tokens": settings.queue_tokens,
            "request_timeout_s": settings.request_timeout_s,
            "auto_truncate": False,
            "tokenization_workers": 1,
            "workers": settings.workers,
            "threads": service.threads,
            "models": cards(service),
            "refused": refused_versions(service),
        }
    )


def _checksum(manifest: Manifest, precision: str) -> str:
    """Of the file that runs in ``precision``; bf16 is computed from the fp32 one."""
    graph = manifest.graphs["model"]
    by_name = {str(name): file for name, file in graph.files.items()}
    default = graph.files[graph.default_precision]
    return by_name.get("fp32" if precision == "bf16" else precision, default).sha256
