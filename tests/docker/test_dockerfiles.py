"""Images: a base that can be chosen, dependencies by hash, and a build context that holds what is needed."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SERVICE = (ROOT / "docker" / "service.Dockerfile").read_text(encoding="utf-8")
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Version of each package of a lock."""
    return dict(PIN.findall((ROOT / lock).read_text(encoding="utf-8")))


def sources(dockerfile: str) -> list[str]:
    """What a Dockerfile copies out of the build context."""
    copies = re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
    return [source for copy in copies for source in copy.split()[:-1]]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets ``path`` through: the last line that fits decides."""
    let = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        fits = path == pattern or path.startswith(pattern + "/") or fnmatch.fnmatch(path, pattern)
        if pattern.startswith("**/"):
            fits = any(fnmatch.fnmatch(part, pattern[3:]) for part in path.split("/"))
        if fits:
            let = line.startswith("!")
    return let


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_the_base_is_pinned_and_can_be_chosen(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    default = re.search(r"^ARG BASE_IMAGE=(\S+)$", text, re.MULTILINE)
    assert default
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", default.group(1))
    bases = {"${BASE_IMAGE}", "${BUILD_IMAGE}", "${COMPILER_IMAGE}"}
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= bases
    # Compose passes a default of its own: the same one.
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    passed = {
        service["build"]["args"]["BASE_IMAGE"]
        for service in services.values()
        if service.get("build", {}).get("dockerfile") == f"docker/{file.name}"
    }
    assert passed == {f"${{BASE_IMAGE:-{default.group(1)}}}"}


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_what_is_copied_is_there_and_in_the_context(file: Path) -> None:
    for source in sources(file.read_text(encoding="utf-8")):
        path = ROOT / source
        assert path.exists(), source
        inside = [f"{source}/__init__.py"] if path.is_dir() else [source]
        assert all(in_context(each) for each in inside), source


@pytest.mark.parametrize(
    "path",
    [".git/config", ".env", "models/sentiment/1/bundle.json", "runs/tiny/log.txt", "tests/toy.py",
     "docs/api.md", "docker/check/run.py", "app/__pycache__/main.pyc", "app/main.pyc"],
)  # fmt: skip
def test_nothing_else_is_in_the_context(path: str) -> None:
    assert not in_context(path)


def test_the_service_runs_as_a_user_without_rights() -> None:
    user = re.search(r"^USER (\d+):(\d+)$", SERVICE, re.MULTILINE)
    assert user
    assert user.groups() == ("10001", "10001")
    assert "--require-hashes" in SERVICE


def test_the_locks_that_compose_names_are_copied() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    named = {service.get("build", {}).get("args", {}).get("LOCK") for service in services.values()} - {None}
    named.add(re.findall(r"^ARG LOCK=(\S+)$", SERVICE, re.MULTILINE)[0])
    assert named == {"requirements.lock", "gpu.lock"}
    assert named <= {Path(source).name for source in sources(SERVICE)}


def test_the_gpu_lock_is_the_service_lock_with_cuda_in_place_of_onnxruntime() -> None:
    plain, gpu = pins("requirements.lock"), pins("docker/image/gpu.lock")
    added = set(gpu) - set(plain)
    assert set(plain) - set(gpu) == {"onnxruntime"}
    assert {name for name in added if not name.startswith("nvidia-")} == {"onnxruntime-gpu"}
    assert {
        "nvidia-cuda-runtime",
        "nvidia-cublas",
        "nvidia-cudnn-cu13",
        "nvidia-cufft",
        "nvidia-curand",
    } <= added
    assert {name: gpu[name] for name in gpu if name in plain} == {
        name: version for name, version in plain.items() if name != "onnxruntime"
    }
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    least = next(line for line in needed if line.startswith("onnxruntime>="))
    wanted = tuple(int(part) for part in least.split(">=")[1].split("."))
    assert tuple(int(part) for part in gpu["onnxruntime-gpu"].split("."))[:2] >= wanted


@pytest.mark.parametrize("lock", ["requirements.lock", "docker/image/gpu.lock", "docker/image/build.lock"])
def test_every_pin_has_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"(?m)^(?=[a-z0-9._-]+==)", text)[1:]
    assert blocks
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
