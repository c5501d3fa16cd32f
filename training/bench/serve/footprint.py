"""What the service weighs with every shipped bundle, how soon it is ready, and what it chooses by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

from app.bundle import MANIFEST_NAME
from training.bench.serve.figures import median
from training.bench.serve.load import closed_loop, http_request
from training.bench.serve.processes import free_port, running
from training.bench.serve.results import Results
from training.bench.serve.rounds import CLIENTS, Material
from training.bench.serve.subjects import our_service

_LOAD_SECONDS = 5.0


def measure_footprint(
    results: Results, shipped: Path, models_dir: Path, material: Material, work: Path, starts: int
) -> None:
    """Fill in memory, start and default choice; without shipped bundles, of the benchmark's own.

    The peak is taken after texts of all lengths on every model: an arena grows with the largest batch.
    """
    names = sorted({bundle.parent.parent.name for bundle in shipped.glob(f"*/*/{MANIFEST_NAME}")})
    results.footprint_of = f"{len(names)} shipped bundles" if names else "one classifier (none shipped)"
    subject = our_service(shipped if names else models_dir, name="footprint")
    ready: list[float] = []
    for _ in range(starts):
        port = free_port()
        with running(
            "footprint", subject.command(port), subject.environment, port, subject.ready_path, work
        ) as server:
            ready.append(server.ready_seconds)
            models = json.loads(server.get("/info")[1])["models"]
            if len(ready) < starts:
                continue
            for request in _requests(models, material):
                asyncio.run(closed_loop(port, request, clients=CLIENTS, seconds=_LOAD_SECONDS / len(models)))
            results.peak_bytes = server.peak_resident_bytes()
    results.ready_seconds = median(ready)
    # By the benchmark's own bundle, which is what the table is about.
    subject, port = our_service(models_dir, name="default"), free_port()
    with running(
        "default", subject.command(port), subject.environment, port, subject.ready_path, work
    ) as server:
        chosen = json.loads(server.get("/info")[1])["models"][0]
        results.default = chosen["backend"], chosen["precision"]


def _requests(models: list[dict[str, str]], material: Material) -> Iterator[list[bytes]]:
    for model in models:
        path = "/classify" if model["task"] == "classify" else "/detect-replaced"
        yield [
            http_request(path, json.dumps({"input": text, "model": model["id"]}, ensure_ascii=False).encode())
            for text in material.mix
        ]
