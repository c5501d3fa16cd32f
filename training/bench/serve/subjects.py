"""Who is measured: this service in its variants, and the peers; how each is started, asked and understood."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from app.runtime.threads import available_threads
from training.bench.serve.environments import environment
from training.errors import UserError

PREFIX = "ELECTRA_"
PEERS_DIR = Path(__file__).parent / "peers"
ROOT = Path(__file__).parents[3]
LIGHT = ("litserve", "mosec", "fastapi-pipeline", "fastapi-onnx")
Labelled = tuple[str, float]


@dataclass(frozen=True)
class Subject:
    """A server that the same load is put on.

    Attributes:
        ours: whether it is this project's service; then it has metrics and takes lists of texts.
        command: its start on a port.
        path: of the POST.
        ready_path: answers 200 once it can be sent work.
        tolerance: of a score against the reference; larger where the arithmetic is coarser.
    """

    name: str
    ours: bool
    command: Callable[[int], list[str]]
    environment: dict[str, str]
    path: str
    ready_path: str
    tolerance: float
    body: Callable[[list[str]], bytes]
    answers: Callable[[bytes], list[Labelled]]


@dataclass(frozen=True)
class Peer:
    """How a peer is installed and started. ``alone``: it takes one text a request."""

    requirements: tuple[str, ...]
    command: Callable[[Path, int, dict[str, str]], list[str]]
    path: str
    ready_path: str
    alone: bool = False
    needs_checkpoint: bool = False
    body: Callable[[list[str]], bytes] = field(default=lambda texts: _json({"input": texts[0]}))
    answers: Callable[[bytes], list[Labelled]] = field(default=lambda body: [_pair(json.loads(body))])


def our_service(
    models_dir: Path, *, name: str, backend: str = "auto", precision: str | None = None, **settings: object
) -> Subject:
    """This service over ``models_dir``, with defaults but for what is given."""
    chosen: dict[str, object] = {"models_dir": models_dir, "backend": backend, **settings}
    if precision is not None:
        chosen["precision"] = precision
    variables = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    variables |= {PREFIX + key.upper(): str(value) for key, value in chosen.items()}
    variables["PYTHONPATH"] = str(ROOT)
    return Subject(
        name=name,
        ours=True,
        command=lambda port: [sys.executable, "-m", "app", "--port", str(port)],
        environment=variables,
        path="/classify",
        ready_path="/readyz",
        # int8 finds its ranges in the whole batch, so a text's score depends a little on its neighbours.
        tolerance=0.15 if precision == "int8" else 0.05 if backend == "openvino" else 1e-3,
        body=lambda texts: _json({"input": texts[0] if len(texts) == 1 else texts}),
        answers=lambda body: [_pair(item) for item in json.loads(body)["data"]],
    )


def peer_subject(name: str, bundle: Path, checkpoint: Path | None, work: Path) -> Subject:
    """A peer in its environment under ``work``, which is made when it is not there.

    Raises:
        UserError: no such peer, it cannot be installed, or it needs a checkpoint and there is none.
    """
    peer = PEERS.get(name)
    if peer is None:
        raise UserError(f"--peers {name}: no such peer; choose from {', '.join(PEERS)}, or none")
    if peer.needs_checkpoint and checkpoint is None:
        raise UserError(f"--peers {name}: it serves the checkpoint, not the bundle; give --checkpoint too")
    python = environment(work / "environments" / name, peer.requirements, alone=peer.alone)
    settings = {"bundle": str(bundle), "checkpoint": str(checkpoint), "threads": available_threads()}
    variables = {key: value for key, value in os.environ.items() if not key.startswith((PREFIX, "PYTHON"))}
    variables |= {
        "BENCH_SETTINGS": json.dumps(settings),
        "PYTHONPATH": str(PEERS_DIR),
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # Several of them report to their makers unless told not to.
        "DO_NOT_TRACK": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return Subject(
        name=name,
        ours=False,
        command=lambda port: peer.command(python, port, {"checkpoint": str(checkpoint)}),
        environment=variables,
        path=peer.path,
        ready_path=peer.ready_path,
        tolerance=1e-3,
        body=peer.body,
        answers=peer.answers,
    )


def _script(file: str) -> Callable[[Path, int, dict[str, str]], list[str]]:
    return lambda python, port, _: [str(python), str(PEERS_DIR / file), str(port)]


def _json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _pair(item: dict[str, Any]) -> Labelled:
    return str(item["label"]), float(item["score"])


def _infinity_answers(body: bytes) -> list[Labelled]:
    return [_pair(max(scores, key=itemgetter("score"))) for scores in json.loads(body)["data"]]


PEERS: dict[str, Peer] = {
    "litserve": Peer(("litserve",), _script("litserve_server.py"), "/predict", "/health"),
    "mosec": Peer(
        ("mosec",),
        lambda python, port, _: [
            str(python),
            str(PEERS_DIR / "mosec_server.py"),
            "--address",
            "127.0.0.1",
            "--port",
            str(port),
            "--timeout",
            "60000",
        ],
        "/inference",
        "/",
    ),
    "fastapi-pipeline": Peer(
        (), _script("fastapi_pipeline_server.py"), "/classify", "/health", needs_checkpoint=True
    ),
    "fastapi-onnx": Peer((), _script("fastapi_onnx_server.py"), "/classify", "/health"),
    "bentoml": Peer(
        ("bentoml",),
        lambda python, port, _: [
            str(python.parent / "bentoml"),
            "serve",
            "bentoml_server:Classifier",
            "--working-dir",
            str(PEERS_DIR),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        "/classify",
        "/readyz",
        body=lambda texts: _json({"input": [texts[0]]}),
        answers=lambda body: [_pair(item) for item in json.loads(body)],
    ),
    "ray": Peer(("ray[serve]",), _script("ray_server.py"), "/", "/"),
    # Its releases want transformers 4, so nothing is shared.
    "infinity": Peer(
        ("infinity-emb[torch,optimum,server]==0.0.78",),
        lambda python, port, paths: [
            str(python.parent / "infinity_emb"),
            "v2",
            "--model-id",
            paths["checkpoint"],
            "--served-model-name",
            "bench",
            "--engine",
            "torch",
            "--device",
            "cpu",
            "--no-bettertransformer",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        "/classify",
        "/health",
        alone=True,
        needs_checkpoint=True,
        body=lambda texts: _json({"model": "bench", "input": texts[:1]}),
        answers=_infinity_answers,
    ),
}


def chosen_peers(text: str) -> Sequence[str]:
    """Names of ``--peers``: separated by commas, ``all``, or ``none``."""
    if text == "none":
        return ()
    return tuple(PEERS) if text == "all" else tuple(name.strip() for name in text.split(",") if name.strip())
