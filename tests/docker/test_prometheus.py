"""Prometheus asks for what the service exports; every alert is tried, explained, and has somebody to call."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.errors import ServiceError
from app.main import create_app
from app.settings import Settings
from tests.docker.exposition import asked, exported, unknown

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "prometheus"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {
    rule["record"]: set(re.findall(r"\w+", "".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
    for rule in RULES
    if "record" in rule
}
PROMTOOL = shutil.which("promtool")


def error_types() -> set[str]:
    """Every reason that a refusal can be counted under."""
    found, kinds = {ServiceError.error_type}, [ServiceError]
    while kinds:
        kinds += (below := kinds.pop().__subclasses__())
        found |= {kind.error_type for kind in below}
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_is_exported(rule: dict[str, Any]) -> None:
    assert unknown(rule["expr"], RECORDED) == []


def test_a_misspelt_metric_or_label_is_found() -> None:
    assert unknown("rate(electra_request_total[5m])", {}) == ["electra_request_total"]
    assert unknown('electra_rejected_total{cause="overloaded"}', {}) == ["electra_rejected_total{cause}"]
    assert unknown("sum by (path) (electra_requests_total)", {}) == ["by (path)"]
    assert asked('electra_model_loads_total{outcome="refused"} offset 15m') == {
        "electra_model_loads_total": {"outcome"}
    }


def test_selected_reasons_and_routes_exist() -> None:
    routes = list(create_app(Settings()).openapi()["paths"])
    assert any("electra_rejected_total" in rule["expr"] for rule in RULES)
    for rule in RULES:
        if "electra_rejected_total" in rule["expr"]:
            assert set(re.findall(r'reason="(\w+)"', rule["expr"])) <= error_types() | {
                "deadline",
                "cancelled",
            }
        for pattern in re.findall(r'route!~"([^"]+)"', rule["expr"]):
            for part in pattern.split("|"):
                assert any(re.fullmatch(part, route) for route in routes), part


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert) <= {"alert", "expr", "for", "labels", "annotations"}
    # Only an event, which is over when it is seen, fires at once.
    assert "for" in alert or re.search(r"increase|changes", alert["expr"])
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook"}
    assert all(notes.values())
    assert notes["runbook"] == f"docs/operations.md#{name.lower()}"
    section = re.search(rf"^#+ {name}\n+(.+?)(?=^#|\Z)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert section, f"docs/operations.md has no section {name}"
    assert len(section.group(1)) > 80


def test_the_document_explains_no_alert_that_is_gone() -> None:
    assert set(re.findall(r"^#+ (Electra\w+)$", OPERATIONS, re.MULTILINE)) == set(ALERTS)


def test_links_of_the_document_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", OPERATIONS)
    assert any("docker/nginx" in link for link in links)
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif "://" not in link:
            assert (ROOT / "docs" / link.split("#")[0]).exists(), link


def test_every_alert_is_tried_where_it_fires_and_where_it_does_not() -> None:
    cases = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    fires: set[str] = set()
    for case in cases:
        for check in case.get("promql_expr_test", []):
            for sample in check.get("exp_samples", []):
                fires |= set(re.findall(r'alertname="(\w+)"', sample["labels"]))
        for check in case.get("alert_rule_test", []):
            fires |= {check["alertname"]} if check.get("exp_alerts") else set()
    assert fires == set(ALERTS)


def test_limits_of_the_rules_are_the_defaults() -> None:
    limits = {rule["record"]: rule["expr"] for rule in RULES if rule["expr"].startswith("vector(")}
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert "mem_limit: ${MEMORY:-1g}" in compose
    assert limits == {
        "electra:request_timeout_seconds": f"vector({Settings().request_timeout_s:g})",
        "electra:queue_limit_tokens": f"vector({Settings().queue_tokens})",
        "electra:memory_limit_bytes": f"vector({1024**3})",
    }


def test_the_service_is_scraped() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text(encoding="utf-8"))
    assert config["rule_files"] == ["alerts.yaml"]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert jobs["electra"]["static_configs"] == [{"targets": ["electra:8000"]}]
    # Rates over two minutes and less need a few scrapes each.
    assert config["global"]["scrape_interval"] == "5s"
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert {"electra", "electra-gpu"} <= set(services)


def test_every_metric_of_the_service_is_in_the_document() -> None:
    table = set(re.findall(r"^\| `(\w+)` \|", OPERATIONS, re.MULTILINE))
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported()}
    assert {name for name in bare if name.startswith("electra_")} <= table


def test_the_document_names_only_what_is_exported() -> None:
    known = exported()
    families = known | {re.sub(r"_bucket$", "", name): set() for name in known}
    named = re.findall(r"\b(?:electra|process)_\w+", re.sub(r"electra_queue_tokens_\w+", "", OPERATIONS))
    assert [name for name in named if name not in families and name not in ("process_",)] == []


@pytest.mark.parametrize(
    "promtool",
    [pytest.param(PROMTOOL, id="by-promtool" if PROMTOOL else "no-promtool-here-so-only-read-as-yaml")],
)
def test_prometheus_takes_its_files_and_the_alerts_do_as_they_should(promtool: str | None) -> None:
    if promtool is None:
        for file in FOLDER.glob("*.yaml"):
            assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)
        return
    for command in (["check", "config", "prometheus.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run(
            [promtool, *command], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
