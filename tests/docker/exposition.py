"""What a scrape of the service holds, and what a PromQL expression asks for: names and labels of both."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from app.telemetry import Metrics, RequestFacts

# Prometheus adds these to whatever it scrapes, and these series of its own.
TARGET_LABELS = {"job", "instance"}
PROMETHEUS_SERIES = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
_SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
_WORDS = {
    "sum", "max", "min", "count", "rate", "increase", "changes", "histogram_quantile", "scalar", "vector",
    "absent", "by", "on", "group_left", "and", "or", "unless", "offset",
}  # fmt: skip
_GROUPING = re.compile(r"\b(?:by|on|group_left|without|ignoring)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_NAME = re.compile(r"(?<![\w.$])[a-zA-Z_:][\w:]*")


def exported() -> dict[str, set[str]]:
    """Every series that a scrape of the service can hold, with the labels it has there."""
    metrics = Metrics("0")
    for status in (200, 429, 499):
        metrics.started()
        metrics.finished(RequestFacts("/classify", "POST", status, "overloaded", 1.0, 0.1, 0.1, 0.1, 1, 10))
    metrics.batch("m", sequences=1, tokens=1, padded_tokens=1, seconds=0.1)
    metrics.failed("m")
    metrics.parallel(2)
    metrics.queue("m", sequences=1, tokens=1)
    metrics.ready(True)
    metrics.model_load("m", "loaded")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.render()[0].decode()):
        if family.name.endswith("_created"):
            continue  # when a counter began: nobody asks for it
        names = {family.name + suffix for suffix in _SUFFIXES.get(family.type, [""])}
        for sample in family.samples:
            if sample.name in names:
                found[sample.name] = found.get(sample.name, set()) | set(sample.labels)
    return found


def asked(expression: str) -> dict[str, set[str]]:
    """Series that a PromQL expression names, each with the labels by which it selects."""
    plain = re.sub(r'"[^"]*"', '""', expression)
    wanted = {
        name: set(re.findall(r"(\w+)\s*[=!]", inside)) for name, inside in reversed(_SELECTOR.findall(plain))
    }
    rest = re.sub(r"\[[^\]]*\]|\{[^}]*\}|\boffset\s+\w+", " ", _GROUPING.sub(" ", plain))
    for name in _NAME.findall(rest):
        if name not in _WORDS:
            wanted.setdefault(name, set())
    return wanted


def grouped(expression: str) -> set[str]:
    """Labels by which a PromQL expression groups or matches."""
    return {label for inside in _GROUPING.findall(expression) for label in re.findall(r"\w+", inside)}


def unknown(expression: str, recorded: Mapping[str, set[str]]) -> list[str]:
    """What ``expression`` asks for and nobody has: service, Prometheus, or a rule that records it."""
    series = {**exported(), **PROMETHEUS_SERIES, **recorded}
    wrong = []
    for name, labels in asked(expression).items():
        if name not in series:
            wrong.append(name)
        else:
            wrong += [f"{name}{{{label}}}" for label in labels - series[name] - TARGET_LABELS]
    have = set().union(TARGET_LABELS, *(series.get(name, set()) for name in asked(expression)))
    return wrong + [f"by ({label})" for label in grouped(expression) - have]
