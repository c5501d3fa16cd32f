"""The Prometheus metrics that the service shows its operators.

Several worker processes share their metrics through the directory that ``PROMETHEUS_MULTIPROC_DIR`` names (it
is the supervisor that makes one), so that a scrape of any worker shows all of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from app.shared import MULTIPROCESS_VARIABLE

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_RATIOS = (1.0, 1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0)


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """One finished request, as counted and logged. Times in seconds.

    ``accepted``: rows of it waited for the engine; ``computed``: what it asked for was computed.
    """

    route: str
    method: str
    status: int
    error_type: str
    seconds: float
    tokenize_s: float
    queue_s: float
    inference_s: float
    items: int
    tokens: int
    accepted: bool = False
    computed: bool = True


@dataclass(frozen=True, slots=True)
class _RouteMetrics:
    """What is kept for one route, looked up once: a look-up by labels costs more than an observation."""

    seconds: Histogram
    items: Histogram
    tokens: Counter
    tokenize: Histogram
    queue: Histogram
    inference: Histogram


class Metrics:
    """The service's metrics, each documented in ``docs/operations.md``.

    Args:
        version: of the service, for the ``electra_build`` info metric.
    """

    def __init__(self, version: str) -> None:
        registry = self._registry = CollectorRegistry()
        self._shared = MULTIPROCESS_VARIABLE in os.environ
        self._routes: dict[str, _RouteMetrics] = {}
        self._requests = Counter(
            "electra_requests",
            "Requests answered, by documented route and status (499: the client hung up first).",
            ["route", "method", "status"],
            registry=registry,
        )
        self._in_flight = Gauge(
            "electra_requests_in_flight",
            "Requests being worked on.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._seconds = Histogram(
            "electra_request_seconds",
            "Seconds from arrival to answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._phase = Histogram(
            "electra_phase_seconds",
            "Seconds that a request spent in each phase: tokenize, queue, inference.",
            ["route", "phase"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._items = Histogram(
            "electra_request_items", "Inputs per request.", ["route"], buckets=_ITEMS, registry=registry
        )
        self._tokens = Counter(
            "electra_tokens",
            "Tokens that the models read, padding not counted.",
            ["route"],
            registry=registry,
        )
        self._rejected = Counter(
            "electra_rejected",
            "Requests refused before the model saw them, by error_type.",
            ["reason"],
            registry=registry,
        )
        self._dropped = Counter(
            "electra_dropped",
            "Requests given up after they were accepted: cancelled (client gone) or deadline.",
            ["reason"],
            registry=registry,
        )
        self._batch_tokens = Histogram(
            "electra_batch_tokens",
            "Tokens per batch, padding not counted.",
            ["model"],
            buckets=_TOKENS,
            registry=registry,
        )
        self._batch_size = Histogram(
            "electra_batch_size", "Sequences per batch.", ["model"], buckets=_ITEMS, registry=registry
        )
        self._padding = Histogram(
            "electra_batch_padding_ratio",
            "Padded tokens divided by real tokens of a batch; 1 is no padding.",
            ["model"],
            buckets=_RATIOS,
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "electra_batch_seconds",
            "Seconds that the engine took for a batch.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._failed = Counter(
            "electra_failed_rows",
            "Rows that the engine could not compute, not even alone.",
            ["model"],
            registry=registry,
        )
        self._parallel = Gauge(
            "electra_parallel_batches",
            "Batches that the engine can compute at once.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._queue_tokens = Gauge(
            "electra_queue_tokens",
            "Tokens waiting for the engine.",
            ["model"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._queue_depth = Gauge(
            "electra_queue_depth",
            "Sequences waiting for the engine.",
            ["model"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._ready = Gauge(
            "electra_ready",
            "1 while the service is ready (the least ready worker counts).",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._loads = Counter(
            "electra_model_loads",
            "Model versions loaded or refused.",
            ["model", "outcome"],
            registry=registry,
        )
        if not self._shared:
            Info("electra_build", "Version of the service.", registry=registry).info({"version": version})
            ProcessCollector(registry=registry)

    def started(self) -> None:
        """A request came in."""
        self._in_flight.inc()

    def finished(self, facts: RequestFacts) -> None:
        """A request that came in was answered, or its client is gone."""
        self._in_flight.dec()
        self._requests.labels(facts.route, facts.method, str(facts.status)).inc()
        of_route = self._routes.get(facts.route) or self._of_route(facts.route)
        of_route.seconds.observe(facts.seconds)
        if facts.items:
            of_route.items.observe(facts.items)
        if facts.computed:
            of_route.tokens.inc(facts.tokens)
            of_route.tokenize.observe(facts.tokenize_s)
            of_route.queue.observe(facts.queue_s)
            of_route.inference.observe(facts.inference_s)
        if facts.status == 499:
            self._dropped.labels("cancelled").inc()
        elif facts.status == 504 and facts.accepted:
            self._dropped.labels("deadline").inc()
        elif facts.status in (401, 403, 408, 413, 415, 429, 503, 504) and not facts.accepted:
            self._rejected.labels(facts.error_type).inc()

    def refused(self, status: int, error_type: str) -> None:
        """A connection got an answer before there was a request: no HTTP came, or it came too slowly."""
        self._requests.labels("other", "", str(status)).inc()
        self._rejected.labels(error_type).inc()

    def _of_route(self, route: str) -> _RouteMetrics:
        found = self._routes[route] = _RouteMetrics(
            self._seconds.labels(route),
            self._items.labels(route),
            self._tokens.labels(route),
            self._phase.labels(route, "tokenize"),
            self._phase.labels(route, "queue"),
            self._phase.labels(route, "inference"),
        )
        return found

    def batch(self, model: str, *, sequences: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        """The engine finished a batch."""
        self._batch_size.labels(model).observe(sequences)
        self._batch_tokens.labels(model).observe(tokens)
        self._padding.labels(model).observe(padded_tokens / max(tokens, 1))
        self._batch_seconds.labels(model).observe(seconds)

    def failed(self, model: str) -> None:
        """The engine could not compute a row."""
        self._failed.labels(model).inc()

    def parallel(self, batches: int) -> None:
        """So many batches can be computed at once."""
        self._parallel.set(batches)

    def queue(self, model: str, *, sequences: int, tokens: int) -> None:
        """How much waits for the engine now."""
        self._queue_depth.labels(model).set(sequences)
        self._queue_tokens.labels(model).set(tokens)

    def ready(self, ready: bool) -> None:
        """Readiness changed."""
        self._ready.set(1 if ready else 0)

    def model_load(self, model: str, outcome: str) -> None:
        """A model version was ``loaded`` or ``refused``."""
        self._loads.labels(model, outcome).inc()

    def render(self) -> tuple[bytes, str]:
        """The exposition in Prometheus' text format, and its content type."""
        if not self._shared or not Path(os.environ[MULTIPROCESS_VARIABLE]).is_dir():
            # Where somebody removed what the workers share, this one at least tells its own.
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        from prometheus_client.multiprocess import MultiProcessCollector

        merged = CollectorRegistry()
        MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
        return generate_latest(merged), CONTENT_TYPE_LATEST
