"""Puts the rooms together. Nothing else knows all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Route

from app.api.errors import from_http_exception
from app.api.keys import KeyRing
from app.api.lifecycle import Lifecycle
from app.api.middleware.access import Access
from app.api.middleware.intake import Intake, Patience
from app.api.middleware.observe import Observe
from app.api.middleware.problems import Problems
from app.api.middleware.shortcut import Shortcut
from app.api.models import ModelRepository, NoModels
from app.api.openapi import install_openapi
from app.api.ratelimit import RateLimiter
from app.api.routes import (
    classify,
    detect_replaced,
    health,
    info,
    metrics,
    models,
    predict,
    site,
    summarize,
    tokenize,
)
from app.api.service import Service
from app.live import LiveModels, threads_of
from app.settings import Settings, variable
from app.telemetry import Metrics
from app.tracing import Tracer, make_tracer

_log = logging.getLogger("electra")
_PUBLIC = frozenset(
    {
        "/", "/docs", "/openapi.json", "/metrics", "/livez", "/readyz", "/health", "/v2/health/live",
        "/v2/health/ready",
    }
)  # fmt: skip
_TASKS = (classify, detect_replaced, summarize, predict, tokenize)
_ROUTES = (*_TASKS, models, info, health, metrics)

OpenModels = Callable[[Settings, Lifecycle, Metrics | None, Path | None], ModelRepository]


def service_version() -> str:
    """Version of the installed distribution."""
    try:
        return installed_version("electra-platform")
    except PackageNotFoundError:
        return "0.0.0"


def create_app(
    settings: Settings,
    *,
    open_models: OpenModels = LiveModels,
    shared: Path | None = None,
    on_ready: Callable[[], None] | None = None,
    patient: bool = False,
) -> FastAPI:
    """The ASGI application.

    Models are loaded in the background after it has started, so that probes are answered meanwhile.

    Args:
        settings: checked ones (``app.settings.load_settings``).
        open_models: makes the model repository; by default the one over ``settings.models_dir``.
        shared: directory that the workers of one service share; None for a single worker.
        on_ready: called once when the service can be sent work.
        patient: whether the server is to take no connection before models are loaded, or cannot be:
            others beside it serve meanwhile, and it would only refuse.

    Raises:
        SettingsError: a key file cannot be read, or tracing is wanted and not installed.
    """
    version = service_version()
    counts = Metrics(version) if settings.metrics else None
    lifecycle = Lifecycle(counts.ready if counts else None)
    tracer = make_tracer(settings.otel_endpoint, settings.otel_service_name, version)
    admin = KeyRing(
        [settings.admin_key.get_secret_value()] if settings.admin_key else [], settings.admin_key_file
    )
    keys = KeyRing([key.get_secret_value() for key in settings.api_keys], settings.api_keys_file)
    repository = open_models(settings, lifecycle, counts, shared)
    service = Service(settings, repository, lifecycle, counts, admin, version, threads_of(settings))

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_load(service, on_ready))
        while patient and lifecycle.loading:  # noqa: ASYNC110 - it has no event, and needs none elsewhere
            await asyncio.sleep(0.05)
        try:
            yield
        finally:
            lifecycle.to_draining()
            loading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loading
            await repository.close()
            if tracer:
                tracer.close()

    app = FastAPI(
        title="ELECTRA",
        version=version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=_middleware(service, keys, tracer),
        exception_handlers={HTTPException: _reraise},
    )
    app.state.service = service
    for module in _ROUTES:
        app.include_router(module.router)
    site.install_site(app, page=settings.page, docs=settings.docs)
    install_openapi(app, version, settings.root_path)
    return app


def _middleware(service: Service, keys: KeyRing, tracer: Tracer | None) -> list[Middleware]:
    """Outermost first."""
    settings = service.settings
    stack = [
        Middleware(
            Observe,
            lifecycle=service.lifecycle,
            metrics=service.metrics,
            tracer=tracer,
            access_log=settings.access_log,
            root_path=settings.root_path,
            paths=_paths(),
        )
    ]
    if settings.cors_origins:
        stack.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=[
                    "Authorization",
                    "Content-Type",
                    "X-API-Key",
                    "X-Request-ID",
                    "X-Request-Timeout",
                ],
                expose_headers=["X-Request-ID", "X-Model-Version", "Server-Timing", "Retry-After"],
            )
        )
    stack += [
        Middleware(Problems),
        Middleware(
            Access,
            keys=keys,
            admin=service.admin,
            limiter=RateLimiter(settings.rate_limit_per_minute / settings.workers, settings.rate_limit_burst),
            public=_is_public,
        ),
        Middleware(
            Intake,
            max_body_bytes=settings.max_body_bytes,
            body_timeout_s=settings.body_timeout_s,
            task=Patience(
                settings.request_timeout_s, "no answer within {seconds} s; send less at a time or wait longer"
            ),
            administration=Patience(
                settings.admin_timeout_s,
                "not done within {seconds} s and given up; what is served is as it was. "
                f"Wait longer: X-Request-Timeout, and at most {variable('admin_timeout_s')}",
            ),
            administers=lambda path: path.startswith(models.PREFIX),
        ),
        Middleware(Shortcut, routes=[route for module in _TASKS for route in module.router.routes]),
    ]
    return stack


def _paths() -> frozenset[str]:
    """The documented paths without a name in them."""
    routes = [route for module in _ROUTES for route in module.router.routes]
    return frozenset(
        route.path for route in routes if isinstance(route, Route) and not route.param_convertors
    )


def _is_public(path: str) -> bool:
    return path in _PUBLIC or path.startswith(site.static_prefixes()) or path in site.static_files()


async def _load(service: Service, on_ready: Callable[[], None] | None) -> None:
    """Load the models; the service becomes ready, or dies with the reason."""
    try:
        await service.models.start()
    except NoModels as error:
        service.lifecycle.to_dead(str(error))
        return
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # whatever it was, a service that never gets ready helps nobody
        _log.critical("the models could not be loaded", exc_info=error)
        service.lifecycle.to_dead(f"the models could not be loaded: {error}")
        return
    service.lifecycle.to_ready()
    if on_ready and service.lifecycle.ready:
        on_ready()


async def _reraise(request: Request, error: Exception) -> Response:
    """Turn what the router raises into our own errors, which ``Problems`` answers."""
    assert isinstance(error, HTTPException)
    raise from_http_exception(error, method=request.method, path=request.url.path) from None
