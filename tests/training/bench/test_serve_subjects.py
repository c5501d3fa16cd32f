"""Peers are asked and understood as they answer, and every script of them is there."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import pytest

from training.bench.serve.environments import environment
from training.bench.serve.subjects import PEERS, PEERS_DIR, chosen_peers, our_service, peer_subject
from training.errors import UserError


def test_the_service_runs_with_the_settings_given_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELECTRA_THREADS", "7")
    subject = our_service(tmp_path, name="us", backend="onnxruntime", precision="int8", request_timeout_s=5)
    ours = {key: value for key, value in subject.environment.items() if key.startswith("ELECTRA_")}
    assert ours == {
        "ELECTRA_MODELS_DIR": str(tmp_path),
        "ELECTRA_BACKEND": "onnxruntime",
        "ELECTRA_PRECISION": "int8",
        "ELECTRA_REQUEST_TIMEOUT_S": "5",
    }
    assert json.loads(subject.body(["a"])) == {"input": "a"}
    assert json.loads(subject.body(["a", "b"])) == {"input": ["a", "b"]}


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_starts_something_that_is_there(name: str) -> None:
    command = PEERS[name].command(Path("/environment/bin/python"), 1234, {"checkpoint": "/checkpoint"})
    assert "1234" in command
    for part in command:
        if part.endswith(".py"):
            ast.parse(Path(part).read_text(encoding="utf-8"))
    module = next((part.split(":")[0] for part in command if ":Classifier" in part), None)
    assert module is None or (PEERS_DIR / f"{module}.py").is_file()


def test_answers_of_peers_are_read() -> None:
    one = json.dumps({"label": "a", "score": 0.5}).encode()
    assert PEERS["mosec"].answers(one) == [("a", 0.5)]
    assert PEERS["bentoml"].answers(b"[" + one + b"]") == [("a", 0.5)]
    scores = [{"label": "b", "score": 0.2}, {"label": "a", "score": 0.8}]
    assert PEERS["infinity"].answers(json.dumps({"data": [scores]}).encode()) == [("a", 0.8)]


def test_names_of_peers(tmp_path: Path) -> None:
    assert chosen_peers("none") == ()
    assert chosen_peers("all") == tuple(PEERS)
    assert chosen_peers("mosec, ray") == ("mosec", "ray")
    with pytest.raises(UserError, match="no such peer"):
        peer_subject("triton", tmp_path, None, tmp_path)
    with pytest.raises(UserError, match="--checkpoint"):
        peer_subject("fastapi-pipeline", tmp_path, None, tmp_path)


def test_an_environment_shares_what_is_here_and_is_made_once(tmp_path: Path) -> None:
    python = environment(tmp_path / "peer", ())
    script = "import sys, numpy; print(sys.prefix)"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "peer")
    made = python.lstat().st_mtime_ns
    assert environment(tmp_path / "peer", ()) == python
    assert python.lstat().st_mtime_ns == made


def test_an_environment_alone_shares_nothing(tmp_path: Path) -> None:
    python = environment(tmp_path / "peer", (), alone=True)
    done = subprocess.run([python, "-c", "import numpy"], capture_output=True, text=True, check=False)
    assert "No module named 'numpy'" in done.stderr
