"""The container answers as the bare process does."""

from __future__ import annotations

import math
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from stack import ROOT, CheckError, Stack, ask, expect, free_port

TEXTS = [
    "今天天气很好，我们去公园吧。",
    "这家店的苹果不新鲜，服务也很差！",
    "The hotel was clean and the staff were friendly. 早餐一般。",
    "iPhone 的 battery 不太行 👎",
]
ARTICLE = (
    "上海今天举行了新闻发布会。记者说经济增长很快。The weather was good. "
    "很多人去了公园，孩子们很高兴。明天还会下雨吗？"
)
# One text a request, which is one row: int8 scales its numbers by what else happens to be in a batch.
REQUESTS = [
    *(("/classify", {"input": text}) for text in TEXTS),
    *(("/detect-replaced", {"input": text}) for text in [*TEXTS, ARTICLE]),
    *(("/summarize", {"input": text, "num_sentences": 2}) for text in [ARTICLE, ARTICLE * 3]),
]


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Where two JSON values differ; scores may by what int8 makes of sentences batched otherwise."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return (
            [] if math.isclose(ours, theirs, rel_tol=0, abs_tol=0.03) else [f"{where}: {ours} and {theirs}"]
        )
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        return [line for key in ours for line in differences(ours[key], theirs[key], f"{where}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for index, (a, b) in pairs for line in differences(a, b, f"{where}[{index}]")]
    return [] if ours == theirs else [f"{where}: {ours!r} and {theirs!r}"]


def bare_python() -> str:
    """Python of an environment on this machine that can run the service; made by make where there is none."""
    for name in (".venv", ".venv-dev"):
        python = ROOT / name / "bin" / "python"
        if (
            python.exists()
            and not subprocess.run([python, "-c", "import app.main"], cwd=ROOT, check=False).returncode
        ):
            return str(python)
    subprocess.run(["make", ".venv/.ready"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return str(ROOT / ".venv" / "bin" / "python")


def same_answers(stack: Stack) -> str:
    """The three endpoints answer the same as `python -m app` over the same models."""
    stack.up()
    port = free_port()
    settings = {"PORT": port, "MODELS_DIR": stack.models, "BACKEND": "onnxruntime", "THREADS": 1}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ELECTRA_")}
    log = stack.scratch / "bare.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [bare_python(), "-m", "app"],
            cwd=ROOT,
            env={**clean, **{f"ELECTRA_{name}": str(value) for name, value in settings.items()}},
            stdout=output,
            stderr=output,
        )
    try:
        _wait_ready(port, process, log)
        counted = 0
        for path, body in REQUESTS:
            ours, theirs = stack.ask("POST", path, body), ask(port, "POST", path, body)
            expect(
                ours.status == theirs.status == 200,
                f"{path}: {ours.status} and {theirs.status}: {ours.body[:200]!r}",
            )
            found = differences(ours.json()["data"], theirs.json()["data"], path)
            expect(not found, f"the answers differ in {len(found)} places, the first: {(found or [''])[0]}")
            counted += len(ours.json()["data"])
        endpoints = {path for path, _ in REQUESTS}
        return f"{counted} texts at {len(endpoints)} endpoints get the same answers"
    finally:
        process.terminate()
        process.wait(30)


def _wait_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if ask(port, "GET", "/readyz").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise CheckError(f"the bare process does not start: {log.read_text(encoding='utf-8')[-300:]}")
