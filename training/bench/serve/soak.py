"""``make soak``: minutes of good and bad traffic together: no 5xx, no answer lost, no memory that grows."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.bundle import MANIFEST_NAME
from training.bench.serve.figures import median
from training.bench.serve.load import BROKEN, Answer, Connection, connect, http_request
from training.bench.serve.model import SCRATCH, random_model
from training.bench.serve.processes import ServerProcess, free_port, running
from training.bench.serve.subjects import ROOT, our_service
from training.errors import UserError

LARGEST_GROWTH = 0.05
_RAMP = 0.2
"""Share of the time in which memory may still grow: arenas meet their largest batch, pools fill."""
SHORT_DEADLINE = "bad: short deadline"
_PATIENCE = 60.0
_SAMPLE_SECONDS = 1.0
_CHINESE = (
    "今天的天气很好，我们去公园看书。他说这家店的菜又贵又慢，服务员也不理人！新闻里讲，经济在慢慢恢复；"
)
_ENGLISH = "The match went to extra time. Shares fell after the report, and nobody knew why. "


@dataclass
class Soak:
    """What happened. ``statuses``: counts by kind of traffic; ``memory``: bytes, in even steps of time."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)
    alive: bool = True
    ready: bool = True

    def note(self, kind: str, status: int) -> None:
        self.statuses.setdefault(kind, Counter())[status] += 1

    @property
    def growth(self) -> float:
        """Memory in the last tenth over memory after the ramp, minus 1."""
        steady = self.memory[int(_RAMP * len(self.memory)) :]
        part = max(1, len(steady) // 10)
        return median(steady[-part:]) / median(steady[:part]) - 1 if steady else 0.0

    def problems(self) -> list[str]:
        """What must not be; empty when all is well."""
        found = []
        for kind, statuses in self.statuses.items():
            for status, count in statuses.items():
                # 504 is the promised answer to a deadline that cannot be kept.
                if status >= 500 and not (status == 504 and kind == SHORT_DEADLINE):
                    found.append(f"{count} times status {status} to {kind}")
                if status == BROKEN and kind.startswith("good"):
                    found.append(f"{count} times no answer to {kind}")
                if kind.startswith("good") and 400 <= status < 500 and status != 429:
                    found.append(f"{count} times status {status} to {kind}")
        if self.growth > LARGEST_GROWTH:
            found.append(f"resident memory grew by {self.growth:.1%}, more than {LARGEST_GROWTH:.0%}")
        if not self.alive:
            found.append("the service ended")
        elif not self.ready:
            found.append("the service is no longer ready")
        return found


@dataclass(frozen=True)
class Endpoint:
    """A model and where it is asked."""

    path: str
    model: str


def endpoints_of(models_dir: Path) -> list[Endpoint]:
    """Every endpoint of every bundle.

    Raises:
        UserError: there is no bundle.
    """
    found: list[Endpoint] = []
    for manifest in sorted(models_dir.glob(f"*/*/{MANIFEST_NAME}")):
        task = json.loads(manifest.read_text(encoding="utf-8"))["task"]
        paths = ["/classify"] if task == "classify" else ["/detect-replaced", "/summarize"]
        found += [Endpoint(path, manifest.parent.parent.name) for path in paths]
    if not found:
        raise UserError(f"{models_dir}: holds no bundle; name another folder with --models")
    return list(dict.fromkeys(found))


def good_request(endpoints: Sequence[Endpoint], chance: random.Random) -> tuple[str, bytes]:
    """A kind and a request that deserves an answer: one text or several, from one word to pages."""
    endpoint = chance.choice(endpoints)
    count = chance.choice((1, 1, 1, 1, 4, 16)) if endpoint.path == "/classify" else 1
    texts = [_text(chance) for _ in range(count)]
    body = {"input": texts[0] if count == 1 else texts, "model": endpoint.model}
    return f"good {endpoint.path}", http_request(endpoint.path, json.dumps(body, ensure_ascii=False).encode())


def bad_request(endpoints: Sequence[Endpoint], chance: random.Random) -> tuple[str, bytes]:
    """A kind and a request that is to be refused, or that is odd and harmless."""
    path = chance.choice(endpoints).path
    bodies: dict[str, Callable[[], bytes]] = {
        "no JSON": lambda: b'{"input": "a',
        "deep JSON": lambda: b'{"input":' + b"[" * 5000 + b"]" * 5000 + b"}",
        "invalid UTF-8": lambda: b'{"input": "\xff\xfe"}',
        "lone surrogate": lambda: b'{"input": "\\ud800"}',
        "NUL": lambda: b'{"input": "a\\u0000b"}',
        "wrong type": lambda: b'{"input": 7}',
        "empty": lambda: b"",
        "empty text": lambda: b'{"input": ""}',
        "unknown model": lambda: b'{"input": "a", "model": "nobody"}',
        "unknown field": lambda: b'{"input": "a", "colour": "red"}',
        "too many items": lambda: json.dumps({"input": ["a"] * 10_000}).encode(),
        "too many characters": lambda: json.dumps({"input": "a " * 300_000}).encode(),
    }
    kind = chance.choice([*bodies, "unknown path", SHORT_DEADLINE])
    if kind == "unknown path":
        return f"bad: {kind}", http_request("/nowhere", b"{}")
    if kind == SHORT_DEADLINE:
        # Answered, refused or given up, but never with a failure of the service.
        body = json.dumps({"input": _text(chance)}, ensure_ascii=False).encode()
        return kind, http_request(path, body, [("X-Request-Timeout", "0.001")])
    return f"bad: {kind}", http_request(path, bodies[kind]())


async def soak(
    server: ServerProcess, endpoints: Sequence[Endpoint], *, seconds: float, clients: int, seed: int = 0
) -> Soak:
    """``clients`` well-behaved callers and half as many who are not, for ``seconds``."""
    result = Soak()
    end = time.monotonic() + seconds
    numbers = itertools.count(seed)

    async def caller(make: Callable[[Sequence[Endpoint], random.Random], tuple[str, bytes]]) -> None:
        chance = random.Random(next(numbers))
        connection: Connection | None = None
        while time.monotonic() < end:
            kind, request = make(endpoints, chance)
            try:
                if connection is None or not connection.open:
                    connection = await connect(server.port)
                answer = await connection.send(request, _PATIENCE)
            except OSError as error:
                answer = Answer(BROKEN, {}, str(error).encode())
            result.note(kind, answer.status)
            if answer.status in (429, BROKEN):
                await asyncio.sleep(min(float(answer.headers.get("retry-after", "0.2")), 2.0))
        if connection is not None:
            connection.close()

    async def rude() -> None:
        chance = random.Random(next(numbers))
        while time.monotonic() < end:
            _, request = good_request(endpoints, chance)
            kind = chance.choice(("hang-up", "half a body", "half a header"))
            cut = {"hang-up": len(request), "half a body": len(request) - 5, "half a header": 30}[kind]
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(request[:cut])
                await writer.drain()
                await asyncio.sleep(chance.random() * 0.1)
                writer.transport.abort()
            result.note(f"rude: {kind}", BROKEN)
            await asyncio.sleep(chance.random() * 0.2)

    async def watch() -> None:
        while time.monotonic() < end:
            result.memory.append(float(server.resident_bytes()))
            await asyncio.sleep(_SAMPLE_SECONDS)

    await asyncio.gather(
        watch(),
        *(caller(good_request) for _ in range(clients)),
        *(caller(bad_request) for _ in range(max(1, clients // 4))),
        *(rude() for _ in range(max(1, clients // 4))),
    )
    result.alive = server.process.poll() is None
    result.ready = result.alive and server.get("/readyz")[0] == 200
    return result


def render(result: Soak, seconds: float) -> str:
    """Markdown: what was sent, what came back, and the memory."""
    lines = ["| traffic | answers by status |", "| --- | --- |"]
    for kind, statuses in sorted(result.statuses.items()):
        names = {BROKEN: "hung up" if kind.startswith("rude") else "none"}
        shown = ", ".join(
            f"{names.get(status, status)}: {count}" for status, count in sorted(statuses.items())
        )
        lines.append(f"| {kind} | {shown} |")
    total = sum(sum(statuses.values()) for statuses in result.statuses.values())
    verdict = "; ".join(result.problems()) or "no 5xx, nothing lost"
    lines += ["", f"{total} requests in {seconds:.0f} s; resident memory {result.growth:+.1%}; {verdict}."]
    return "\n".join(lines)


def _text(chance: random.Random) -> str:
    words = _CHINESE if chance.random() < 0.7 else _ENGLISH
    length = chance.choice((1, 10, 40, 80, 200, 400, 400, 2000))
    start = chance.randrange(len(words))
    # A text of nothing but a space is refused, and rightly.
    return (words * (length // len(words) + 2))[start:].lstrip()[:length]


def _some_models(work: Path) -> Path:
    shipped = ROOT / "models"
    return shipped if any(shipped.glob(f"*/*/{MANIFEST_NAME}")) else random_model(work).models_dir


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when all is well, 1 when not, 2 for a mistake of the user."""
    parser = argparse.ArgumentParser(prog="python -m training.bench.serve.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long [600]")
    parser.add_argument("--clients", type=int, default=16, help="well-behaved ones [16]")
    parser.add_argument("--models", type=Path, help="model repository [models, or a random model]")
    parser.add_argument("--work", type=Path, default=SCRATCH, help="scratch folder, for the service's log")
    parser.add_argument("--seed", type=int, default=0, help="of the traffic [0]")
    options = parser.parse_args(arguments)
    work: Path = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    try:
        models = options.models.absolute() if options.models else _some_models(work)
        endpoints = endpoints_of(models)
        with contextlib.ExitStack() as stack:
            # Requests that are cut short must not wait half a minute for their end.
            subject = our_service(models, name="soak", body_timeout_s=5, header_timeout_s=5)
            port = free_port()
            server = stack.enter_context(
                running("soak", subject.command(port), subject.environment, port, subject.ready_path, work)
            )
            result = asyncio.run(
                soak(server, endpoints, seconds=options.seconds, clients=options.clients, seed=options.seed)
            )
    except UserError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    print(render(result, options.seconds))
    return 1 if result.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
