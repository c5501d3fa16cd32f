"""The application in this process, without a server: for tests of what lies between HTTP and the tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from app.api.call import ARRIVED
from app.api.lifecycle import Lifecycle
from app.bundle import GraphName, Task
from app.bundle_files import read_bundle
from app.errors import ModelNotFound
from app.main import create_app
from app.registry import GraphInfo, ModelInfo
from app.runtime.batch import Outputs
from app.scheduler.engine import RequestContext
from app.settings import Settings
from app.tasks.local import local_model
from app.tasks.model import ServedModel
from app.telemetry import Metrics
from app.text.sequence import TokenSequence
from tests.toy import toy_bundle

Before = Callable[[RequestContext], Any]


@dataclass
class WatchedEngine:
    """An engine that runs ``before`` (which may wait or raise) ahead of every call."""

    inner: Any
    before: Before | None = None
    cancelled: int = 0

    async def infer(
        self, sequences: Sequence[TokenSequence], context: RequestContext, *, graph: GraphName = "model"
    ) -> list[Outputs]:
        try:
            if self.before:
                waiting = self.before(context)
                if waiting is not None:
                    await waiting
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        outputs: list[Outputs] = await self.inner.infer(sequences, context, graph=graph)
        return outputs


@dataclass
class FixedModels:
    """A model repository that holds what it was given. ``done``: what an administrator asked for;
    ``accepted``: name, characters and texts of every request that was let in."""

    served: dict[str, ServedModel]
    engine: WatchedEngine
    failure: Exception | None = None
    done: list[tuple[str, str, str | None]] = field(default_factory=list)
    accepted: list[tuple[str, int, int]] = field(default_factory=list)
    ready: bool = True

    async def start(self) -> None:
        if self.failure:
            raise self.failure

    async def close(self) -> None:
        return

    def get(self, name: str | None, task: Task) -> ServedModel:
        for model in self.served.values():
            if model.bundle.manifest.task == task and name in (None, model.name):
                return model
        raise ModelNotFound(f"no model {name!r} for {task}")

    def accept(
        self, model: ServedModel, context: RequestContext, characters: int = 0, texts: int = 0
    ) -> None:
        self.accepted.append((model.name, characters, texts))

    def models(self) -> list[ModelInfo]:
        return [
            ModelInfo(
                name=model.name,
                version=model.version,
                task=model.bundle.manifest.task,
                versions=(model.version,),
                pinned=None,
                default=True,
                graphs={"model": GraphInfo("onnxruntime", "fp32", 512, 1000.0)},
                loaded_at=0.0,
                bundle=model.bundle,
            )
            for model in self.served.values()
        ]

    def refused(self) -> dict[tuple[str, str], str]:
        return {("other", ""): "cannot be read", ("sentiment", "9"): "is damaged"}

    async def load(self, name: str, version: str | None) -> None:
        self.done.append(("load", name, version))

    async def unload(self, name: str) -> None:
        self.done.append(("unload", name, None))

    async def pin(self, name: str, version: str | None) -> None:
        self.done.append(("pin", name, version))


def fixed_models(models_dir: Path) -> FixedModels:
    """A toy encoder and a toy classifier whose engines can be watched."""
    paths = {name: models_dir / name / "1" for name in ("encoder", "sentiment")}
    if not paths["encoder"].exists():
        toy_bundle(models_dir, "encoder")
        toy_bundle(models_dir, "sentiment", task="classify")
    served = {}
    engine = WatchedEngine(None)
    for name, path in paths.items():
        model = local_model(path, threads=1)
        watched = engine if name == "sentiment" else WatchedEngine(None)
        watched.inner = model.engine
        served[name] = ServedModel(read_bundle(path), model.encoder, watched, model.statistics)
    return FixedModels(served, engine)


@dataclass
class Running:
    """An application that has started, and a client for it."""

    app: FastAPI
    client: httpx.AsyncClient
    models: FixedModels

    @property
    def lifecycle(self) -> Lifecycle:
        lifecycle: Lifecycle = self.app.state.service.lifecycle
        return lifecycle


@asynccontextmanager
async def started(models: FixedModels, **settings: Any) -> AsyncIterator[Running]:
    """Start the application over ``models``; ends when the block does."""

    def open_models(
        settings: Settings, lifecycle: Lifecycle, metrics: Metrics | None, shared: Path | None
    ) -> FixedModels:
        return models

    app = create_app(Settings(**settings), open_models=open_models)
    # Our own middleware answers every error; an exception that reaches the transport is a fault.
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with app.router.lifespan_context(app):
        await asyncio.sleep(0.01)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Running(app, client, models)


async def call(
    app: FastAPI,
    path: str,
    messages: Sequence[dict[str, Any]],
    *,
    headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),),
    gap_s: float = 0.0,
    then_disconnect: bool = False,
    arrived: float | None = None,
) -> tuple[int, bytes]:
    """Speak ASGI to ``app``: send ``messages``, ``gap_s`` apart; returns status (0: none) and body.

    ``arrived``: when the server says that it read the headers.
    """
    waiting = list(messages)
    answer: dict[str, Any] = {"status": 0, "body": b""}
    over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if gap_s:
            await asyncio.sleep(gap_s)
        if waiting:
            return waiting.pop(0)
        if not then_disconnect:
            await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer["status"] = message["status"]
        else:
            answer["body"] += message.get("body", b"")
            if not message.get("more_body"):
                over.set()

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }
    if arrived is not None:
        scope[ARRIVED] = arrived
    await app(scope, receive, send)
    return answer["status"], answer["body"]
