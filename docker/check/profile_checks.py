"""The profiles beside the service: training publishes what is then served, monitoring sees it."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any
from urllib.parse import quote

from stack import ROOT, Stack, ask, docker, eventually, expect, free_port

_RECIPE = (
    "training/recipes/tiny.yaml --quiet --only sentiment "
    "--set models=models --set data=data/text --set labelled=data"
)


# Says what would help where a machine that could have them has none.
_KERNELS = "from training.electra.native.library import usable; print('kernels:', usable())"


def train(stack: Stack) -> str:
    """The train profile runs a recipe and publishes into models/; the running service takes it over."""
    models = stack.scratch / "published"
    shutil.rmtree(models, ignore_errors=True)
    shutil.copytree(stack.models, models)
    # The recipe publishes sentiment/1; what is served under that name now stands aside as a lower version.
    shutil.rmtree(models / "sentiment", ignore_errors=True)
    for path in [models, *models.rglob("*")]:
        os.chown(path, 1000, 1000)
    stack.up(MODELS=str(models), ELECTRA_WATCH_INTERVAL_S="1")
    before = stack.served()
    pid = stack.inspect()["State"]["Pid"]
    expect("sentiment" not in before, "sentiment is served before it was trained")
    began = time.monotonic()
    stack.compose("--profile", "train", "run", "--rm", "train", timeout=1800, RECIPE=_RECIPE)
    seconds = time.monotonic() - began
    said = stack.compose(
        "--profile", "train", "run", "--rm", "--entrypoint", "python", "train", "-c", _KERNELS
    )
    expect("kernels: " in said and "note: " not in said, f"the image trains without its kernels: {said}")
    first = eventually("the new model is served", lambda: stack.served().get("sentiment"), 30)
    expect(stack.inspect()["State"]["Pid"] == pid, "the service was restarted")
    reply = stack.ask("POST", "/classify", {"input": "这家店很好", "model": "sentiment"})
    expect(reply.status == 200, f"the new model answers {reply.status}")
    # The same model once more, as the next version: the service swaps.
    stack.compose(
        "--profile", "train", "run", "--rm", "train", "export", "runs/tiny/finetune/sentiment",
        "--name", "sentiment", "--precisions", "fp32", timeout=900,
    )  # fmt: skip
    eventually("version 2 takes over", lambda: stack.served().get("sentiment") == "2", 30)
    expect(stack.inspect()["State"]["Pid"] == pid, "the service was restarted")
    owner = (models / "sentiment" / "2" / "bundle.json").stat().st_uid
    return f"sentiment {first} in {seconds:.0f} s as uid {owner}, then 2; both served without a restart"


def monitoring(stack: Stack) -> str:
    """Prometheus scrapes the service, loads every rule, and knows every query of the dashboard."""
    stack.up()
    for _ in range(3):
        stack.ask("POST", "/classify", {"input": ["好", "不好"]})
        stack.ask("POST", "/summarize", {"input": "今天很好。明天也好。", "num_sentences": 1})
    port = free_port()
    stack.settings = {**stack.settings, "PROMETHEUS_PORT": str(port)}
    stack.compose("--profile", "monitoring", "up", "-d", "--no-build", "prometheus")

    def query(path: str) -> Any:
        try:
            reply = ask(port, "GET", f"/api/v1/{path}")
        except OSError:
            return None
        return reply.json().get("data") if reply.status == 200 else None

    def target_up() -> bool:
        targets = (query("targets") or {}).get("activeTargets", [])
        return bool(targets) and all(target["health"] == "up" for target in targets)

    eventually("the service is scraped", target_up, 60)
    groups = query("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    eventually(
        "the rules are evaluated",
        lambda: all(rule["health"] == "ok" for group in query("rules")["groups"] for rule in group["rules"]),
        90,
    )
    dashboard = json.loads((ROOT / "docker/grafana/dashboards/electra.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    for expression in queries:
        asked = expression.replace("$__rate_interval", "1m")
        expect(query(f"query?query={quote(asked)}") is not None, f"Prometheus does not know {asked}")
    ready = query("query?query=electra_ready")["result"]
    expect(ready and ready[0]["value"][1] == "1", "electra_ready is not 1 in Prometheus")
    image = docker("inspect", "--format", "{{.Config.Image}}", *docker(
        "ps", "-q", "--filter", f"label=com.docker.compose.project={stack.project}",
        "--filter", "label=com.docker.compose.service=prometheus",
    ).split())  # fmt: skip
    return f"{image}: target up, {len(rules)} rules evaluated, {len(queries)} dashboard queries understood"
