"""Models that change on disk or by an administrator's word while requests flow."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.load import Answer, Crowd
from tests.server import Server, eventually, running
from tests.toy import toy_bundle

ADMIN = {"Authorization": "Bearer boss"}
TEXTS = ["好", "今天天气很好", "the cat sat on the mat", "我喜欢吃苹果" * 5]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    toy_bundle(tmp_path / "models", "sentiment", "1", task="classify", seed=1)
    return tmp_path / "models"


@pytest.fixture
def server(models: Path, tmp_path: Path) -> Iterator[Server]:
    with running(models, tmp_path / "run", admin_key="boss") as started:
        yield started


def arrive(models: Path, version: str, seed: int) -> None:
    """A new version, put there as a careful person would: under a temporary name, then renamed."""
    made = toy_bundle(models.parent / f"made-{version}", "sentiment", version, task="classify", seed=seed)
    shutil.copytree(made, models / "sentiment" / f"{version}.tmp")
    (models / "sentiment" / f"{version}.tmp").rename(models / "sentiment" / version)


def version_of(server: Server) -> str:
    return str(server.get("/v1/models/sentiment").json()["version"])


def expected(server: Server) -> list[list[float]]:
    """What the version that serves now says about each text."""
    return [item["probs"] for item in server.post("/classify", {"input": TEXTS}).json()["data"]]


def probs(answer: Answer) -> list[list[float]]:
    return [item["probs"] for item in answer.json()["data"]]  # type: ignore[index, union-attr]


def test_a_hot_swap_under_load_loses_and_mixes_nothing(server: Server, models: Path) -> None:
    by_version = {"sentiment/1": expected(server)}
    with Crowd(server.port, lambda number: {"input": TEXTS}, clients=8) as crowd:
        for version in ("2", "3"):
            count = len(crowd.answers)
            eventually(lambda count=count: len(crowd.answers) > count + 50)
            arrive(models, version, seed=int(version))
            eventually(lambda version=version: version_of(server) == version)
            by_version[f"sentiment/{version}"] = expected(server)
        count = len(crowd.answers)
        eventually(lambda: len(crowd.answers) > count + 50)
        answers = crowd.stop()
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["x-model-version"] for answer in answers} == set(by_version)
    for answer in answers:
        right = by_version[answer.headers["x-model-version"]]
        for got, wanted in zip(probs(answer), right, strict=True):
            assert got == pytest.approx(wanted, abs=1e-5), "an answer of another version"


def test_a_bad_version_is_refused_and_the_old_one_stays(server: Server, models: Path) -> None:
    before = expected(server)
    made = toy_bundle(models.parent / "made", "sentiment", "2", task="classify", seed=2)
    content = bytearray((made / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (made / "model.onnx").write_bytes(content)
    shutil.copytree(made, models / "sentiment" / "2.tmp")
    (models / "sentiment" / "2.tmp").rename(models / "sentiment" / "2")
    eventually(lambda: server.get("/v1/models/sentiment").json()["refused"])
    card = server.get("/v1/models/sentiment").json()
    assert card["version"] == "1"
    assert "differs from its checksum" in card["refused"]["2"]
    assert expected(server) == [pytest.approx(row, abs=1e-6) for row in before]
    refused = server.post("/v1/models/sentiment/load", {"version": "2"}, headers=ADMIN)
    assert (refused.status_code, refused.json()["error_type"]) == (409, "model_refused")
    assert "checksum" in refused.json()["detail"]
    assert server.get("/readyz").status_code == 200
    assert "refused sentiment/2" in server.log


def test_files_that_change_or_go_while_serving_change_nothing(server: Server, models: Path) -> None:
    before = expected(server)
    (models / "sentiment" / "1" / "model.onnx").write_bytes(b"overwritten")
    (models / "sentiment" / "1" / "tokenizer.json").unlink()
    after = expected(server)
    assert after == [pytest.approx(row, abs=1e-6) for row in before]
    shutil.rmtree(models / "sentiment")
    assert expected(server) == [pytest.approx(row, abs=1e-6) for row in before]
    assert server.post("/v1/models/sentiment/load", {}, headers=ADMIN).status_code == 404
    assert expected(server) == [pytest.approx(row, abs=1e-6) for row in before]


def test_an_administrator_pins_unloads_and_loads(server: Server, models: Path) -> None:
    pinned = server.post("/v1/models/sentiment/pin", {"version": "1"}, headers=ADMIN)
    assert pinned.json()["pinned"] == "1"
    arrive(models, "2", seed=2)
    eventually(lambda: "2" in server.get("/v1/models/sentiment").json()["versions"])
    assert version_of(server) == "1"
    server.post("/v1/models/sentiment/pin", {"version": None}, headers=ADMIN)
    assert version_of(server) == "2"
    assert server.post("/v1/models/sentiment/unload", headers=ADMIN).status_code == 204
    gone = server.post("/classify", {"input": "好"})
    assert (gone.status_code, gone.json()["error_type"]) == (404, "model_not_found")
    assert server.get("/readyz").status_code == 503
    loaded = server.post("/v1/models/sentiment/load", {"version": "1"}, headers=ADMIN)
    assert loaded.json()["version"] == "1"
    assert server.post("/classify", {"input": "好"}).headers["x-model-version"] == "sentiment/1"
    assert server.get("/readyz").status_code == 200


def test_several_workers_share_the_port_the_metrics_and_what_an_administrator_says(
    models: Path, tmp_path: Path
) -> None:
    with running(models, tmp_path / "workers", workers=2, admin_key="boss") as server:
        # The first worker says that it is ready; the other may still be loading.
        eventually(lambda: server.log.count("serving sentiment/1") == 2, 30)
        eventually(lambda: {server.get("/readyz").status_code for _ in range(12)} == {200}, 30)
        arrive(models, "2", seed=2)

        def seen(version: str) -> bool:
            """Every one of many fresh connections, so of both workers, is answered by ``version``."""
            answers = [server.post("/classify", {"input": "好"}) for _ in range(12)]
            assert {answer.status_code for answer in answers} == {200}
            return {answer.headers["x-model-version"] for answer in answers} == {f"sentiment/{version}"}

        eventually(lambda: seen("2"), 30)
        assert server.post("/v1/models/sentiment/pin", {"version": "1"}, headers=ADMIN).status_code == 200
        eventually(lambda: seen("1"), 30)
        pages = [server.get("/metrics").text for _ in range(4)]
        name = 'electra_requests_total{method="POST",route="/classify",status="200"}'
        counts = [
            float(line.rsplit(" ", 1)[1])
            for page in pages
            for line in page.splitlines()
            if line.startswith(name)
        ]
        assert len(counts) == 4, "every worker shows the metrics of both"
        assert counts[0] == counts[-1] >= 24
        assert server.get("/info").json()["workers"] == 2
        with Crowd(server.port, lambda number: {"input": "好"}, clients=8) as crowd:
            eventually(lambda: len(crowd.answers) > 50)
            server.signal()
            code = server.wait()
            answers = crowd.stop()
        assert code == 0, server.log
        assert {answer.status for answer in answers} == {200}, [a for a in answers if a.status != 200][:3]


def test_a_worker_that_is_killed_is_replaced_and_all_end_with_their_supervisor(
    models: Path, tmp_path: Path
) -> None:
    def workers(server: Server) -> set[int]:
        listed = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text("ascii")
        return {int(pid) for pid in listed.split()}

    with running(models, tmp_path / "workers", workers=2) as server:
        first = eventually(lambda: len(found := workers(server)) == 2 and found)
        victim = min(first)
        eventually(lambda: server.log.count("serving sentiment/1") == 2, 30)
        eventually(lambda: {server.get("/readyz").status_code for _ in range(12)} == {200}, 30)
        os.kill(victim, signal.SIGKILL)
        statuses = set()

        def replaced() -> bool:
            statuses.add(server.post("/classify", {"input": "好"}).status_code)
            statuses.add(server.get("/readyz").status_code)
            return victim not in workers(server) and server.log.count("serving sentiment/1") == 3

        eventually(replaced, 30)
        assert statuses == {200}, "the one that is left carries on, and the new one waits until it can serve"
        assert "ended with code -9" in server.log
        assert all(json.loads(line) for line in server.log.splitlines())
        left = workers(server)
        server.process.kill()
        server.wait()
        # Nobody is left behind: an orphan would hold the port.
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), 30)


def test_the_gauge_says_what_the_probe_says(server: Server) -> None:
    def gauge() -> str:
        lines = server.get("/metrics").text.splitlines()
        return next(line for line in lines if line.startswith("electra_ready "))

    assert (server.get("/readyz").status_code, gauge()) == (200, "electra_ready 1.0")
    assert server.post("/v1/models/sentiment/unload", headers=ADMIN).status_code == 204
    probe = server.get("/readyz")
    assert (probe.status_code, gauge()) == (503, "electra_ready 0.0")
    assert probe.json() == {"status": "starting", "reason": "no model is served"}
    assert server.post("/v1/models/sentiment/load", headers=ADMIN).status_code == 200
    assert (server.get("/readyz").status_code, gauge()) == (200, "electra_ready 1.0")
