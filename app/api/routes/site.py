"""The page, its files, and the API reference: static files of this package, nothing from elsewhere."""

from __future__ import annotations

import functools
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from app.api.route import JsonResponse

WEB = Path(__file__).resolve().parents[2] / "web"
_REVALIDATE = {"cache-control": "no-cache"}


class Files(StaticFiles):
    """Static files that browsers ask about again each time (304 while unchanged), so that upgrades show."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers.update(_REVALIDATE)
        return response


@functools.cache
def static_prefixes() -> tuple[str, ...]:
    """Path prefixes under which the package's own directories are published."""
    return tuple(f"/{entry.name}/" for entry in sorted(WEB.iterdir()) if entry.is_dir())


@functools.cache
def static_files() -> tuple[str, ...]:
    """Single files published at the root, such as ``/favicon.svg``."""
    return tuple(
        f"/{entry.name}" for entry in sorted(WEB.iterdir()) if entry.is_file() and entry.suffix != ".html"
    )


def install_site(app: FastAPI, *, page: bool, docs: bool) -> None:
    """Publish the page at ``/`` and the reference at ``/docs`` where they are switched on."""
    router = APIRouter(include_in_schema=False)
    if page:
        router.add_api_route("/", _sender(WEB / "index.html"), methods=["GET", "HEAD"])
    if docs:
        router.add_api_route("/docs", _sender(WEB / "docs.html"), methods=["GET", "HEAD"])
        router.add_api_route("/openapi.json", _openapi, methods=["GET", "HEAD"])
    if page or docs:
        for file in static_files():
            router.add_api_route(file, _sender(WEB / file[1:]), methods=["GET", "HEAD"])
        for prefix in static_prefixes():
            app.mount(prefix.rstrip("/"), Files(directory=WEB / prefix.strip("/")))
    app.include_router(router)


def _sender(file: Path):  # type: ignore[no-untyped-def]
    async def send_file() -> FileResponse:
        return FileResponse(file, headers=_REVALIDATE)

    return send_file


async def _openapi(request: Request) -> JsonResponse:
    application: FastAPI = request.app
    return JsonResponse(application.openapi())
