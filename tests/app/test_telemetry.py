"""What operators see: metrics that add up."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry import Metrics, RequestFacts

FACTS = RequestFacts(
    route="/classify",
    method="POST",
    status=200,
    error_type="",
    seconds=0.2,
    tokenize_s=0.01,
    queue_s=0.02,
    inference_s=0.1,
    items=3,
    tokens=40,
    accepted=True,
)
ROOT = Path(__file__).resolve().parents[2]


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text, _ = metrics.render()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_a_request_is_counted_once_everywhere() -> None:
    metrics = Metrics("1.2.3")
    metrics.started()
    metrics.finished(FACTS)
    seen = samples(metrics)
    route = (("route", "/classify"),)
    assert seen["electra_requests_total", (("method", "POST"), *route, ("status", "200"))] == 1
    assert seen["electra_requests_in_flight", ()] == 0
    assert seen["electra_tokens_total", route] == 40
    assert seen["electra_request_items_sum", route] == 3
    assert seen["electra_request_seconds_sum", route] == pytest.approx(0.2)
    for phase, seconds in (("tokenize", 0.01), ("queue", 0.02), ("inference", 0.1)):
        assert seen["electra_phase_seconds_sum", (("phase", phase), *route)] == pytest.approx(seconds)
    assert seen["electra_build_info", (("version", "1.2.3"),)] == 1


@pytest.mark.parametrize(
    ("status", "error_type", "sample"),
    [
        (429, "overloaded", ("electra_rejected_total", (("reason", "overloaded"),))),
        (503, "backend", ("electra_rejected_total", (("reason", "backend"),))),
        (401, "unauthorized", ("electra_rejected_total", (("reason", "unauthorized"),))),
        (499, "", ("electra_dropped_total", (("reason", "cancelled"),))),
        (504, "deadline", ("electra_dropped_total", (("reason", "deadline"),))),
    ],
)
def test_refusals_and_drops(
    status: int, error_type: str, sample: tuple[str, tuple[tuple[str, str], ...]]
) -> None:
    metrics = Metrics("0")
    metrics.started()
    metrics.finished(
        replace(FACTS, status=status, error_type=error_type, items=0, accepted=status in (499, 504))
    )
    assert samples(metrics)[sample] == 1


def test_what_failed_in_the_engine_was_not_refused_before_it() -> None:
    metrics = Metrics("0")
    metrics.started()
    metrics.finished(replace(FACTS, status=503, error_type="backend"))
    assert not [name for name, _ in samples(metrics) if name.startswith("electra_rejected")]


def test_what_was_refused_at_its_deadline_was_not_given_up() -> None:
    metrics = Metrics("0")
    metrics.started()
    late = replace(FACTS, status=504, error_type="deadline", accepted=False, computed=False)
    metrics.finished(late)
    seen = samples(metrics)
    assert seen["electra_rejected_total", (("reason", "deadline"),)] == 1
    assert ("electra_dropped_total", (("reason", "deadline"),)) not in seen


def test_phases_and_tokens_are_of_what_was_computed() -> None:
    metrics = Metrics("0")
    for facts in (FACTS, replace(FACTS, status=429, queue_s=0.0, inference_s=0.0, computed=False)):
        metrics.started()
        metrics.finished(facts)
    seen = samples(metrics)
    route = ("route", "/classify")
    assert seen["electra_phase_seconds_count", (("phase", "queue"), route)] == 1
    assert seen["electra_tokens_total", (route,)] == 40
    assert seen["electra_request_items_count", (route,)] == 2


def test_what_never_was_a_request_is_counted_too() -> None:
    metrics = Metrics("0")
    metrics.refused(408, "request_timeout")
    metrics.failed("m")
    seen = samples(metrics)
    assert seen["electra_requests_total", (("method", ""), ("route", "other"), ("status", "408"))] == 1
    assert seen["electra_rejected_total", (("reason", "request_timeout"),)] == 1
    assert seen["electra_failed_rows_total", (("model", "m"),)] == 1
    assert ("electra_requests_in_flight", ()) not in seen or seen["electra_requests_in_flight", ()] == 0


def test_batches_queues_and_loads() -> None:
    metrics = Metrics("0")
    metrics.batch("m", sequences=4, tokens=100, padded_tokens=120, seconds=0.5)
    metrics.queue("m", sequences=2, tokens=30)
    metrics.parallel(2)
    assert samples(metrics)["electra_parallel_batches", ()] == 2
    metrics.model_load("m", "refused")
    metrics.ready(True)
    seen = samples(metrics)
    model = (("model", "m"),)
    assert seen["electra_batch_padding_ratio_sum", model] == pytest.approx(1.2)
    assert seen["electra_batch_tokens_sum", model] == 100
    assert seen["electra_batch_size_sum", model] == 4
    assert seen["electra_queue_tokens", model] == 30
    assert seen["electra_queue_depth", model] == 2
    assert seen["electra_model_loads_total", (*model, ("outcome", "refused"))] == 1
    assert seen["electra_ready", ()] == 1


def test_workers_add_up(tmp_path: Path) -> None:
    program = (
        "from app.telemetry import Metrics; m = Metrics('0'); m.ready({ready});"
        "m.queue('m', sequences=1, tokens=5);"
        "m.model_load('m', 'loaded'); print(m.render()[0].decode())"
    )
    for ready in (True, False):
        done = subprocess.run(
            [sys.executable, "-c", program.format(ready=ready)],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
    lines = done.stdout.splitlines()
    assert 'electra_model_loads_total{model="m",outcome="loaded"} 2.0' in lines
    assert 'electra_queue_tokens{model="m"} 10.0' in lines
    assert "electra_ready 0.0" in lines
