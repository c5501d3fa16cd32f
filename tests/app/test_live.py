"""Scheduler and registry under one lifecycle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.api.lifecycle import Lifecycle
from app.api.models import NoModels
from app.changes import ChangeLog
from app.errors import NotReady
from app.live import LiveModels, parallel_of, threads_of
from app.runtime.threads import available_threads
from app.scheduler.engine import RequestContext
from app.settings import Settings
from app.tasks.classify import classify
from app.telemetry import Metrics
from tests.toy import toy_bundle


def live(models_dir: Path, **settings: object) -> LiveModels:
    chosen = {
        "models_dir": models_dir,
        "backend": "onnxruntime",
        "threads": 1,
        "batch_tokens": 128,
        **settings,
    }
    return LiveModels(Settings(**chosen), Lifecycle(), Metrics("0"))  # type: ignore[arg-type]


def test_before_the_start_nothing_is_served(tmp_path: Path) -> None:
    models = live(tmp_path)
    assert not models.ready
    assert models.models() == []
    assert models.refused() == {}
    with pytest.raises(NotReady):
        models.get(None, "classify")
    asyncio.run(models.close())


def test_classifiers_come_first_and_defaults_before_others(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "a-encoder")
    for name in ("b-topic", "c-sentiment"):
        toy_bundle(tmp_path, name, task="classify")

    async def scenario() -> None:
        models = live(tmp_path, default_models="c-sentiment")
        await models.start()
        assert models.ready
        assert [model.name for model in models.models()] == ["c-sentiment", "b-topic", "a-encoder"]
        assert models.get(None, "classify").name == "c-sentiment"
        await models.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text("x"), "is not a directory"),
        (lambda path: path.mkdir(), "holds no bundle"),
    ],
)
def test_nothing_to_serve_is_one_line(tmp_path: Path, make: object, reason: str) -> None:
    make(tmp_path / "models")  # type: ignore[operator]

    async def scenario() -> None:
        models = live(tmp_path / "models")
        try:
            await models.start()
        finally:
            await models.close()

    with pytest.raises(NoModels, match=reason) as caught:
        asyncio.run(scenario())
    assert "ELECTRA_MODELS_DIR" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_default_of_which_there_is_nothing_is_no_start(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "sentiment", task="classify")

    async def scenario() -> None:
        models = live(tmp_path, default_models="sentimnt")
        try:
            await models.start()
        finally:
            await models.close()

    with pytest.raises(NoModels, match=r"ELECTRA_DEFAULT_MODELS names sentimnt.* it has sentiment"):
        asyncio.run(scenario())


def test_a_directory_that_cannot_be_read_is_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refusing)
    with pytest.raises(NoModels, match=r"Permission denied.*let the service's user read it"):
        asyncio.run(live(tmp_path).start())


def test_a_directory_that_is_not_there_yet_can_be_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        models = live(tmp_path / "later", require_models=False, watch_interval_s=0.05)
        starting = asyncio.create_task(models.start())
        while "no model is served" not in models._lifecycle.reason:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        toy_bundle(tmp_path / "later", "sentiment", task="classify")
        await starting
        assert models.ready
        await models.close()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_default_that_is_damaged_is_waited_for(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "topic", task="classify")
    root = toy_bundle(tmp_path, "sentiment", task="classify")
    good = (root / "model.onnx").read_bytes()
    (root / "model.onnx").write_bytes(good[:-1] + b"x")

    async def scenario() -> None:
        models = live(tmp_path, default_models="sentiment", watch_interval_s=0.05)
        starting = asyncio.create_task(models.start())
        while "default model sentiment" not in models._lifecycle.reason:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert not models.ready
        assert "checksum" in models._lifecycle.reason
        (root / "model.onnx").write_bytes(good)
        await starting
        assert models.ready
        await models.close()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_metrics_say_how_many_batches_are_computed_at_once(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "sentiment", task="classify")

    async def scenario() -> None:
        models = live(tmp_path, parallel_batches=3)
        await models.start()
        assert models._metrics is not None
        assert "electra_parallel_batches 3.0" in models._metrics.render()[0].decode()
        await models.close()

    asyncio.run(scenario())


def test_threads_are_shared_by_workers() -> None:
    assert threads_of(Settings(threads=3, workers=2)) == 3
    assert threads_of(Settings()) == available_threads()
    assert threads_of(Settings(workers=64)) == 1


def test_without_an_interval_the_repository_is_not_watched(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "sentiment", task="classify")

    async def scenario() -> None:
        for interval, tasks in ((0, 0), (60, 1)):
            models = live(tmp_path, watch_interval_s=interval)
            await models.start()
            assert len(models._tasks) == tasks
            await models.close()

    asyncio.run(scenario())


def test_one_thread_computes_one_batch_at_a_time() -> None:
    assert parallel_of(Settings(threads=1)) == 1
    assert parallel_of(Settings(threads=8)) == 2
    assert parallel_of(Settings(threads=1, parallel_batches=3)) == 3


def test_a_change_that_cannot_be_made_any_more_does_not_end_a_new_worker(tmp_path: Path) -> None:
    toy_bundle(tmp_path / "models", "encoder")
    log = ChangeLog(tmp_path)
    log._worker = -1
    log.append("pin", "encoder", "7")
    log.append("load", "gone", None)
    chosen = Settings(models_dir=tmp_path / "models", backend="onnxruntime", threads=1, batch_tokens=128)

    async def scenario() -> None:
        models = LiveModels(chosen, Lifecycle(), None, tmp_path)
        await models.start()
        assert models.ready
        await models.close()

    asyncio.run(scenario())


def test_a_new_worker_serves_nothing_that_was_unloaded_before_it_came(tmp_path: Path) -> None:
    toy_bundle(tmp_path / "models", "encoder")
    toy_bundle(tmp_path / "models", "sentiment", task="classify")
    log = ChangeLog(tmp_path)
    log._worker = -1
    log.append("unload", "sentiment", None)
    chosen = Settings(models_dir=tmp_path / "models", backend="onnxruntime", threads=1, batch_tokens=128)

    async def scenario() -> None:
        models = LiveModels(chosen, Lifecycle(), None, tmp_path)
        await models.start()
        assert [model.name for model in models.models()] == ["encoder"]
        await models.close()

    asyncio.run(scenario())


def test_workers_that_are_asked_for_opposite_things_at_once_end_alike(tmp_path: Path) -> None:
    """One unloads a model while the other is loading it: whoever is done last is right, for both."""
    toy_bundle(tmp_path / "models", "encoder")
    toy_bundle(tmp_path / "models", "sentiment", task="classify")
    chosen = Settings(models_dir=tmp_path / "models", backend="onnxruntime", threads=1, batch_tokens=128)

    async def scenario() -> None:
        workers = [LiveModels(chosen, Lifecycle(), None, tmp_path) for _ in range(2)]
        for number, worker in enumerate(workers):
            await worker.start()
            assert worker._changes is not None
            worker._changes._worker = number
        one, two = workers
        loading = asyncio.create_task(two.load("sentiment", None))
        while not two._served()._lock("sentiment").locked():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await one.unload("sentiment")
        assert two._changes is not None
        assert one._changes is not None
        await two._changes.catch_up(two._apply)
        await loading
        await one._changes.catch_up(one._apply)
        await two._changes.catch_up(two._apply)
        for worker in workers:
            assert [model.name for model in worker.models()] == ["sentiment", "encoder"]
            await worker.close()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_task_that_failed_does_not_keep_the_rest_from_closing(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "sentiment", task="classify")

    async def scenario() -> None:
        models = live(tmp_path)
        await models.start()

        async def failing() -> None:
            raise OSError("no disk")

        models._tasks.append(asyncio.create_task(failing()))
        await asyncio.sleep(0)
        await models.close()
        assert models._scheduler is not None
        assert models._scheduler.state == "closed"

    asyncio.run(scenario())


def test_closing_waits_for_requests_that_are_in(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "sentiment", task="classify")

    async def scenario() -> None:
        models = live(tmp_path)
        await models.start()
        context = RequestContext()
        model = models.get(None, "classify")
        models.accept(model, context)
        closing = asyncio.create_task(models.close())
        await asyncio.sleep(0.05)
        with pytest.raises(NotReady):
            models.accept(model, RequestContext())
        with pytest.raises(NotReady):
            await classify(model, ["好"], context=RequestContext())
        answers = [await classify(model, ["好"], context=context) for _ in range(2)]
        assert all(answer[0].label for answer in answers)
        assert not closing.done()
        context.end()
        await closing

    asyncio.run(scenario())


def test_closing_does_not_wait_for_ever(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "sentiment", task="classify")

    async def scenario() -> None:
        models = live(tmp_path, shutdown_timeout_s=0.05)
        await models.start()
        models.accept(models.get(None, "classify"), RequestContext())
        await asyncio.wait_for(models.close(), 10)

    asyncio.run(scenario())
