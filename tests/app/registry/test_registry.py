"""Models come, change and go while requests flow."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import ModelNotFound, ModelRefused
from app.registry import Registry, loading
from app.scheduler.engine import RequestContext
from app.tasks.model import ServedModel
from app.text.sequence import TokenSequence
from tests.app.registry.serving import run, serving
from tests.toy import toy_bundle

ROW = TokenSequence(np.arange(5, 15))


async def logits(model: ServedModel) -> list[float]:
    answer = await model.engine.infer([ROW], RequestContext())
    values: list[float] = answer[0]["logits"].tolist()
    return values


def shut_off(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let the system refuse to say what ``path`` is (tests may run as root, whom no mode bits stop)."""
    is_file = Path.is_file

    def refusing(asked: Path) -> bool:
        if asked == path:
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(asked)

    monkeypatch.setattr(Path, "is_file", refusing)


def spoil(root: Path) -> None:
    (root / "model.onnx").write_bytes((root / "model.onnx").read_bytes() + b"x")


def test_the_highest_version_of_every_model_serves(tmp_path: Path) -> None:
    for version in ("2", "10", "9"):
        toy_bundle(tmp_path, "encoder", version)
    toy_bundle(tmp_path, "sentiment", task="classify")

    async def story() -> None:
        async with serving(tmp_path) as registry:
            assert registry.ready
            infos = {info.name: info for info in registry.models()}
            assert infos["encoder"].version == "10"
            assert infos["encoder"].versions == ("10", "9", "2")
            assert infos["encoder"].default
            assert registry.get("encoder", "encode").version == "10"
            assert registry.get(None, "classify").name == "sentiment"
            assert len(await logits(registry.get(None, "classify"))) == 2

    run(story)


def test_it_is_not_ready_once_the_engine_takes_nothing_new(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "sentiment", task="classify")

    async def story() -> None:
        async with serving(tmp_path) as registry:
            assert registry.ready
            await registry._scheduler.drain()
            assert not registry.ready
            assert registry.lack() == "", "of models it lacks nothing"

    run(story)


def test_it_is_not_ready_without_a_default_model(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "topic", task="classify")
    root = toy_bundle(tmp_path, "sentiment", task="classify")
    good = (root / "model.onnx").read_bytes()
    spoil(root)

    async def story() -> None:
        async with serving(tmp_path, defaults=("sentiment",)) as registry:
            assert not registry.ready
            assert "the default model sentiment is not served" in registry.lack()
            assert "model.onnx" in registry.lack()
            assert registry.unknown_defaults() == []
            with pytest.raises(ModelNotFound):
                registry.get(None, "classify")
            await registry.unload("sentiment")
            assert registry.ready, "an administrator does without it"
            with pytest.raises(ModelNotFound):
                registry.get(None, "classify")
            with pytest.raises(ModelRefused):
                await registry.load("sentiment")
        async with serving(tmp_path, defaults=("sentiment",)) as registry:
            (root / "model.onnx").write_bytes(good)
            await registry.refresh()
            assert registry.ready
            assert registry.get(None, "classify").name == "sentiment"
        async with serving(tmp_path, defaults=("sentimnt",)) as registry:
            assert "has no bundle of it" in registry.lack()
            assert registry.unknown_defaults() == ["sentimnt"]

    run(story)


def test_a_bad_bundle_is_refused_once_and_a_lower_version_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    toy_bundle(tmp_path, "encoder", "1")
    spoil(toy_bundle(tmp_path, "encoder", "2"))

    async def story() -> None:
        async with serving(tmp_path) as registry:
            assert registry.get("encoder", "encode").version == "1"
            assert ("encoder", "2") in registry.refused()
            await registry.refresh()
            await registry.refresh()
            lines = [record for record in caplog.records if record.levelno >= logging.ERROR]
            assert len(lines) == 1
            assert "refused encoder/2" in lines[0].getMessage()
            assert "model.onnx" in lines[0].getMessage()

    run(story)


def test_a_bad_new_version_leaves_the_old_one_and_a_repaired_one_is_taken(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "encoder", "1")

    async def story() -> None:
        async with serving(tmp_path) as registry:
            root = toy_bundle(tmp_path, "encoder", "2")
            good = (root / "model.onnx").read_bytes()
            spoil(root)
            await registry.refresh()
            assert registry.get("encoder", "encode").version == "1"
            with pytest.raises(ModelRefused, match=r"model\.onnx"):
                await registry.load("encoder", "2")
            assert registry.get("encoder", "encode").version == "1"
            (root / "model.onnx").write_bytes(good)
            await registry.refresh()
            assert registry.get("encoder", "encode").version == "2"
            assert registry.refused() == {}

    run(story)


def test_the_watcher_takes_new_versions_and_new_models(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "encoder", "1")

    async def story() -> None:
        async with serving(tmp_path) as registry:
            watcher = asyncio.create_task(registry.watch(0.02))
            staged = toy_bundle(tmp_path / "elsewhere.tmp", "encoder", "2")
            await asyncio.sleep(0.1)
            assert registry.get("encoder", "encode").version == "1"
            staged.rename(tmp_path / "encoder" / "2")
            toy_bundle(tmp_path, "sentiment", task="classify")
            for _ in range(400):
                if len(registry.models()) == 2 and registry.models()[0].version == "2":
                    break
                await asyncio.sleep(0.01)
            assert [(info.name, info.version) for info in registry.models()] == [
                ("encoder", "2"),
                ("sentiment", "1"),
            ]
            watcher.cancel()

    run(story)


def test_pins_hold_against_higher_versions_until_taken_off(tmp_path: Path) -> None:
    for version in ("1", "2"):
        toy_bundle(tmp_path, "encoder", version)

    async def story() -> None:
        async with serving(tmp_path) as registry:
            info = await registry.load("encoder", "1")
            assert (info.version, info.pinned) == ("1", "1")
            toy_bundle(tmp_path, "encoder", "3")
            await registry.refresh()
            assert registry.get("encoder", "encode").version == "1"
            with pytest.raises(ModelNotFound, match="no version '7'"):
                await registry.pin("encoder", "7")
            assert registry.models()[0].pinned == "1"
            info = await registry.pin("encoder", None)
            assert (info.version, info.pinned) == ("3", None)
            assert (await registry.pin("encoder", "3")).pinned == "3"

    run(story)


def test_unloaded_models_stay_away_until_loaded_again(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "encoder")

    async def story() -> None:
        async with serving(tmp_path) as registry:
            await registry.unload("encoder")
            await registry.refresh()
            assert registry.models() == []
            assert not registry.ready
            with pytest.raises(ModelNotFound):
                await registry.unload("encoder")
            assert (await registry.load("encoder")).version == "1"
            assert registry.ready
            for name in ("nobody", "../encoder", ""):
                with pytest.raises(ModelNotFound):
                    await registry.load(name)

    run(story)


def test_a_look_through_the_repository_does_not_undo_an_unload_that_it_waited_for(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "encoder")

    async def story() -> None:
        async with serving(tmp_path) as registry:
            async with registry._lock("encoder"):
                unloading = asyncio.create_task(registry.unload("encoder"))
                await asyncio.sleep(0)
                looking = asyncio.create_task(registry.refresh())
                await asyncio.sleep(0.1)
            await asyncio.gather(unloading, looking)
            assert registry.models() == []

    run(story)


def test_a_load_that_is_given_up_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_bundle(tmp_path, "encoder", "1")
    started, go_on = threading.Event(), threading.Event()

    def waiting(*args: Any) -> None:
        started.set()
        assert go_on.wait(30)

    async def story() -> None:
        changes: list[bool] = []
        async with serving(tmp_path, on_change=lambda: changes.append(True)) as registry:
            held = registry.get("encoder", "encode")
            toy_bundle(tmp_path, "encoder", "2", seed=5)
            monkeypatch.setattr("app.registry.loading.check_graph", waiting)
            asking = asyncio.create_task(registry.load("encoder", "2"))
            await asyncio.to_thread(started.wait, 30)
            asking.cancel()
            await asyncio.sleep(0.05)
            assert registry._lock("encoder").locked(), "the model is busy until the thread has let go of it"
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert registry.get("encoder", "encode") is held
            assert registry.models()[0].pinned is None
            await registry.unload("encoder")
            assert len(changes) == 2, "the first load and the unload"
            monkeypatch.undo()
            assert (await registry.load("encoder")).version == "2", "and it can be loaded after all"

    run(story)


def test_swaps_under_load_lose_and_mix_nothing(tmp_path: Path) -> None:
    for version in range(1, 7):
        toy_bundle(tmp_path / "stage", "encoder", str(version), task="classify", seed=version)
    models = tmp_path / "models"
    (models / "encoder").mkdir(parents=True)
    (tmp_path / "stage/encoder/1").rename(models / "encoder/1")

    async def story() -> None:
        async with serving(models) as registry:
            expected: dict[str, list[float]] = {}
            done = False
            seen: list[str] = []

            async def client() -> None:
                while not done:
                    model = registry.get("encoder", "classify")
                    answers = [await logits(model) for _ in range(3)]
                    known = expected.setdefault(model.version, answers[0])
                    for answer in answers:
                        assert answer == pytest.approx(known, abs=1e-5)
                    seen.append(model.version)

            clients = [asyncio.create_task(client()) for _ in range(12)]
            for version in range(2, 7):
                (tmp_path / f"stage/encoder/{version}").rename(models / f"encoder/{version}")
                await registry.refresh()
                while str(version) not in seen:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            done = True
            await asyncio.gather(*clients)
            assert set(seen) == {"1", "2", "3", "4", "5", "6"}
            assert len({tuple(np.round(values, 4)) for values in expected.values()}) == 6

    run(story)


def test_an_old_version_serves_who_holds_it_and_is_freed_afterwards(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    toy_bundle(tmp_path, "encoder", "1")
    caplog.set_level(logging.INFO)

    async def story() -> None:
        async with serving(tmp_path) as registry:
            held = registry.get("encoder", "encode")
            toy_bundle(tmp_path, "encoder", "2", seed=5)
            await registry.refresh()
            assert registry.get("encoder", "encode").version == "2"
            assert len(await logits(held)) == 10
            await asyncio.sleep(0)
            assert "freed" not in caplog.text
            del held
            gc.collect()
            await asyncio.sleep(0.05)
            assert "freed encoder/1" in caplog.text

    run(story)


def test_loads_happen_off_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    threads: set[int] = set()
    read = loading.read_bundle

    def noting(path: Path) -> Any:
        threads.add(threading.get_ident())
        return read(path)

    monkeypatch.setattr(loading, "read_bundle", noting)
    toy_bundle(tmp_path, "encoder")

    async def story() -> None:
        async with serving(tmp_path):
            assert threads
            assert threading.get_ident() not in threads

    run(story)


def test_telemetry_hears_of_loads(tmp_path: Path) -> None:
    class Ear:
        heard: list[tuple[str, str]]

        def model_load(self, model: str, outcome: str) -> None:
            self.heard.append((model, outcome))

    toy_bundle(tmp_path, "encoder", "1")
    spoil(toy_bundle(tmp_path, "encoder", "2"))
    ear = Ear()
    ear.heard = []

    async def story() -> None:
        async with serving(tmp_path, observer=ear):
            assert ear.heard == [("encoder", "refused"), ("encoder", "loaded")]

    run(story)


def test_a_version_taken_off_the_disk_serves_on(tmp_path: Path) -> None:
    """Going back to a lower one is an operator's choice, not an accident of copying."""
    toy_bundle(tmp_path, "encoder", "1")
    served = toy_bundle(tmp_path, "encoder", "2")

    async def story() -> None:
        async with serving(tmp_path) as registry:
            served.rename(tmp_path / "encoder" / "2.tmp")
            await registry.refresh()
            assert registry.get("encoder", "encode").version == "2"
            await registry.load("encoder", "1")
            assert registry.get("encoder", "encode").version == "1"

    run(story)


def test_an_error_that_nobody_foresaw_refuses_one_bundle_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_bundle(tmp_path, "encoder")
    toy_bundle(tmp_path, "sentiment", task="classify")
    checked = Registry._assemble

    def strange(self: Registry, bundle: Any, lanes: Any) -> ServedModel:
        if bundle.manifest.name == "encoder":
            raise KeyError("a library's own fault")
        return checked(self, bundle, lanes)

    monkeypatch.setattr(Registry, "_assemble", strange)

    async def story() -> None:
        async with serving(tmp_path) as registry:
            assert [info.name for info in registry.models()] == ["sentiment"]
            assert "KeyError" in registry.refused()["encoder", "1"]

    run(story)


def test_a_directory_that_cannot_be_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    toy_bundle(tmp_path, "encoder", "1")
    hidden = toy_bundle(tmp_path, "encoder", "2")
    shut_off(monkeypatch, hidden / "bundle.json")

    async def story() -> None:
        async with serving(tmp_path) as registry:
            assert registry.get("encoder", "encode").version == "1"
            assert "Permission denied" in registry.refused()["encoder", "2"]
            toy_bundle(tmp_path, "sentiment", task="classify")
            (tmp_path / "sentiment" / "²").mkdir()
            (tmp_path / "sentiment" / "²" / "bundle.json").write_text("{}")
            await registry.refresh()
            assert [info.name for info in registry.models()] == ["encoder", "sentiment"]
            assert caplog.text.count("refused encoder/2") == 1
            assert (await registry.load("encoder", "1")).pinned == "1"
            monkeypatch.undo()
            assert (await registry.pin("encoder", None)).version == "2"
            assert ("encoder", "2") not in registry.refused()

    run(story)


@pytest.mark.parametrize("where", ["opening", "first batch"])
def test_want_of_memory_is_not_held_against_a_bundle(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.registry.refusals.FIRST_PAUSE_SECONDS", 0.0)
    toy_bundle(tmp_path, "encoder")

    def short(*_: Any, **__: Any) -> Any:
        raise RuntimeError("std::bad_alloc")

    async def story() -> None:
        with monkeypatch.context() as patch:
            if where == "opening":
                patch.setattr("onnxruntime.InferenceSession", short)
            else:
                patch.setattr("app.runtime.onnx_session.OnnxSession.run", short)
            async with serving(tmp_path) as registry:
                ((_, reason),) = registry.refused().items()
                assert reason.startswith("MemoryError: ")
                patch.undo()
                await registry.refresh()
                assert registry.ready

    run(story)


def test_a_fault_that_may_pass_is_not_held_against_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.registry.refusals.FIRST_PAUSE_SECONDS", 0.0)
    toy_bundle(tmp_path, "encoder", "1")
    toy_bundle(tmp_path, "encoder", "2")
    read = loading.read_bundle

    def short_of_memory(path: Path) -> Any:
        if path.name == "2":
            raise MemoryError("no memory")
        return read(path)

    monkeypatch.setattr(loading, "read_bundle", short_of_memory)

    async def story() -> None:
        async with serving(tmp_path) as registry:
            assert registry.get("encoder", "encode").version == "1"
            monkeypatch.setattr(loading, "read_bundle", read)
            await registry.refresh()
            assert registry.get("encoder", "encode").version == "2"

    run(story)
