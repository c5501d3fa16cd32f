"""One cell of the table: one load on one running server, guarded, with what the server says of itself."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from training.bench.serve.answers import Reference, check
from training.bench.serve.figures import parse_metrics, percentile, rate
from training.bench.serve.load import Sample, closed_loop, http_request
from training.bench.serve.noise import Guarded, NoiseGuard
from training.bench.serve.processes import ServerProcess
from training.bench.serve.subjects import Subject


@dataclass(frozen=True)
class Load:
    """What is sent.

    Attributes:
        name: of the cell.
        clients: connections that each have one request under way.
        texts: of each request.
        tokens: of each request, over all of its texts, special tokens included.
        unit_tokens: tokens of the text in which the rate is counted.
        ours_only: peers are not asked (they take one text a request).
    """

    name: str
    clients: int
    texts: Sequence[list[str]]
    tokens: Sequence[int]
    unit_tokens: float
    ours_only: bool = False


@dataclass(frozen=True)
class Cell:
    """What was measured.

    Attributes:
        rate: texts of the load's mean length answered per second.
        p50, p99: seconds from sending to the answer.
        checked, wrong, example: of the answers.
        cpu_ms: CPU milliseconds of the whole server for a text of mean length, warm-up included. It moves
            less than the rate when others use the machine.
        driver: CPU seconds of the driver per second; 1 is a whole core.
        at_once: batches that the engine computed at once, mean over time; nan for peers.
        engine_rate: texts per second of a batch's own time; nan for peers.
        padding: padded over real tokens, mean over batches; nan for peers.
        moved, others, discarded, quiet: see ``noise.Guarded``.
    """

    rate: float
    p50: float
    p99: float
    checked: int
    wrong: int
    example: str
    cpu_ms: float
    driver: float
    at_once: float
    engine_rate: float
    padding: float
    moved: float = 0.0
    others: float = 0.0
    discarded: int = 0
    quiet: bool = True


def measure(
    subject: Subject,
    server: ServerProcess,
    load: Load,
    expected: Sequence[Sequence[Reference]],
    guard: NoiseGuard,
    *,
    seconds: float,
    warm_up: float,
) -> Cell:
    """Drive ``server`` for ``warm_up + seconds`` in a quiet moment and check every answer."""
    requests = [http_request(subject.path, subject.body(texts)) for texts in load.texts]

    def run() -> Cell:
        before, served = _metrics(subject, server), server.cpu_seconds()
        cpu, begun = time.process_time(), time.perf_counter()
        samples = asyncio.run(
            closed_loop(server.port, requests, clients=load.clients, seconds=warm_up + seconds)
        )
        wall = time.perf_counter() - begun
        driver = (time.process_time() - cpu) / wall
        used = server.cpu_seconds() - served
        after = _metrics(subject, server)
        return summarise(subject, load, samples, expected, warm_up, used, driver, wall, before, after)

    guarded: Guarded[Cell] = guard.run(run, server.cpu_seconds)
    cell = guarded.value
    noise = {name: getattr(guarded, name) for name in ("moved", "others", "discarded", "quiet")}
    return Cell(**{**cell.__dict__, **noise})


def summarise(
    subject: Subject,
    load: Load,
    samples: Sequence[Sample],
    expected: Sequence[Sequence[Reference]],
    warm_up: float,
    used: float,
    driver: float,
    wall: float,
    before: dict[str, float],
    after: dict[str, float],
) -> Cell:
    """The cell of a run; ``used``: the server's CPU seconds; ``before``, ``after``: its metrics."""

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0) if name in after else math.nan

    begun = min((sample.started for sample in samples), default=0.0)
    late = [sample.seconds for sample in samples if sample.started >= begun + warm_up]
    verdict = check(samples, expected, subject)
    texts = sum(load.tokens[s.index] for s in samples if s.answer.status == 200) / load.unit_tokens
    engine_seconds = grown("electra_batch_seconds_sum")
    batches = grown("electra_batch_padding_ratio_count")
    return Cell(
        rate=rate(samples, [tokens / load.unit_tokens for tokens in load.tokens], warm_up),
        p50=percentile(late, 0.50),
        p99=percentile(late, 0.99),
        checked=verdict.checked,
        wrong=verdict.wrong,
        example=verdict.example,
        cpu_ms=1000 * used / texts if texts else math.nan,
        driver=driver,
        at_once=engine_seconds / wall,
        engine_rate=grown("electra_batch_tokens_sum") / load.unit_tokens / engine_seconds
        if engine_seconds
        else math.nan,
        padding=grown("electra_batch_padding_ratio_sum") / batches if batches else math.nan,
    )


def _metrics(subject: Subject, server: ServerProcess) -> dict[str, float]:
    return parse_metrics(server.get("/metrics")[1].decode()) if subject.ours else {}
