"""compose.yaml says what the code says, in words that both docker-compose 1.29 and Compose v2 know."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings, variable

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SETTINGS = {variable(name) for name in Settings.names()}
# The image sets these, and the ports and folders of compose.yaml follow from them.
SET_BY_THE_IMAGE = {"ELECTRA_HOST", "ELECTRA_PORT", "ELECTRA_MODELS_DIR"}
# Keys of a service in both specifications: `develop`, `post_start` and their like are of v2 alone.
SERVICE_KEYS = {
    "build", "cap_add", "cap_drop", "command", "cpus", "depends_on", "deploy", "entrypoint", "environment",
    "env_file", "expose", "healthcheck", "image", "init", "labels", "logging", "mem_limit", "memswap_limit",
    "networks", "pids_limit", "ports", "profiles", "read_only", "restart", "secrets", "security_opt",
    "shm_size", "stop_grace_period", "stop_signal", "tmpfs", "ulimits", "user", "volumes", "working_dir",
}  # fmt: skip


def tools() -> list[Any]:
    """The Compose programs of this machine, v1 and v2."""
    found = []
    if shutil.which("docker-compose"):
        found.append(pytest.param(["docker-compose"], id="docker-compose"))
    if shutil.which("docker"):
        asked = subprocess.run(
            ["docker", "compose", "version"], capture_output=True, timeout=60, check=False
        ).returncode
        if asked == 0:
            found.append(pytest.param(["docker", "compose"], id="docker-compose-plugin"))
    return found or [pytest.param([], id="no-compose-here-so-only-the-rules-above")]


def config(tool: list[str], *arguments: str, **variables: str) -> Any:
    """compose.yaml as ``tool`` understands it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ELECTRA_")}
    done = subprocess.run(
        [*tool, "-f", "compose.yaml", *arguments, "config"],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize("service", ["electra", "electra-gpu"])
def test_every_setting_reaches_the_service_and_nothing_else_does(service: str) -> None:
    passed = {name for name in SERVICES[service]["environment"] if name.startswith("ELECTRA_")}
    assert passed == SETTINGS - SET_BY_THE_IMAGE
    image = (ROOT / "docker" / "service.Dockerfile").read_text(encoding="utf-8")
    assert all(f"    {name}=" in image for name in SET_BY_THE_IMAGE)


def test_both_kinds_of_compose_know_every_key() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"services", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service.get("build", {})) <= {
            "context",
            "dockerfile",
            "args",
            "target",
            "labels",
            "network",
        }
        # Short forms: the long ones came with other keys to each of the two.
        assert all(isinstance(port, str) for port in service.get("ports", [])), name
        assert all(isinstance(volume, str) for volume in service.get("volumes", [])), name
    # Nested defaults and other forms of substitution are of v2 alone.
    assert set(re.findall(r"\$\{[^}]*\}", TEXT)) == set(re.findall(r"\$\{[A-Z_]+(?::-[^}$]*)?\}", TEXT))


@pytest.mark.parametrize("tool", tools())
def test_compose_itself_takes_it(tool: list[str]) -> None:
    if not tool:
        return
    seen = config(tool, "--profile", "monitoring", "--profile", "train", PORT="9000", ELECTRA_MAX_ITEMS="7")
    assert {"electra", "prometheus", "grafana", "train"} <= set(seen["services"])
    service = seen["services"]["electra"]
    assert service["read_only"] is True
    assert str(service["environment"]["ELECTRA_MAX_ITEMS"]) == "7"
    # One that is not set stays unset: an empty value would be a setting.
    assert service["environment"].get("ELECTRA_THREADS") is None
    assert "9000" in str(service["ports"])
    # Without a profile there is the service alone.
    assert "prometheus" not in config(tool).get("services", {}) or tool == ["docker-compose"]


def test_the_service_can_do_little() -> None:
    for name in ("electra", "electra-gpu", "train"):
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    for name in ("electra", "electra-gpu"):
        assert any(volume.endswith(":/models:ro") for volume in SERVICES[name]["volumes"])
        assert SERVICES[name]["mem_limit"] == SERVICES[name]["memswap_limit"]
    for name, service in SERVICES.items():
        assert service["logging"]["options"]["max-size"], name
        # Published on this machine alone unless somebody says otherwise.
        assert all(port.startswith("${BIND:-127.0.0.1}:") for port in service.get("ports", [])), name


def test_stopping_waits_for_what_was_accepted() -> None:
    grace = re.fullmatch(r"\$\{STOP_GRACE_PERIOD:-(\d+)s\}", SERVICES["electra"]["stop_grace_period"])
    assert grace
    defaults = Settings()
    assert int(grace.group(1)) > defaults.drain_delay_s + defaults.shutdown_timeout_s


def test_what_is_mounted_or_built_is_there() -> None:
    for name, service in SERVICES.items():
        for volume in service["volumes"]:
            source = re.sub(r"^\$\{[A-Z]+:-([^}]*)\}", r"\1", volume).split(":")[0]
            assert not source.startswith(".") or (ROOT / source).is_dir(), f"{name}: {source}"
            assert source.startswith(".") or source in COMPOSE["volumes"], f"{name}: {source}"
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
    command = " ".join(SERVICES["prometheus"]["command"])
    assert "--config.file=/etc/prometheus/prometheus.yaml" in command
    assert (ROOT / "docker" / "prometheus" / "prometheus.yaml").is_file()


def test_images_of_others_are_pinned() -> None:
    for name in ("prometheus", "grafana"):
        assert re.fullmatch(r"\$\{[A-Z_]+:-[a-z/]+:v?\d+\.\d+\.\d+\}", SERVICES[name]["image"]), name
