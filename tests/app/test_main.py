"""The application as a whole: how it starts, and how it says that it cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from app.api.lifecycle import Lifecycle, State
from app.api.models import NoModels
from app.main import create_app, service_version
from app.settings import Settings, SettingsError
from tests.service import FixedModels, Running, fixed_models, started


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> FixedModels:
    return fixed_models(tmp_path_factory.mktemp("models"))


class SlowModels(FixedModels):
    async def start(self) -> None:
        await asyncio.sleep(0.2)


def test_probes_are_answered_while_models_are_loaded(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(SlowModels(models.served, models.engine)) as running:
            assert (await running.client.get("/livez")).status_code == 200
            waiting = await running.client.get("/readyz")
            assert (waiting.status_code, waiting.json()["status"]) == (503, "starting")
            refused = await running.client.post("/classify", json={"input": "好"})
            assert (refused.status_code, refused.json()["error_type"]) == (503, "unhealthy")
            await asyncio.sleep(0.4)
            assert (await running.client.get("/readyz")).status_code == 200
            assert (await running.client.post("/classify", json={"input": "好"})).status_code == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("failure", [NoModels("nothing here"), RuntimeError("unforeseen")])
def test_models_that_cannot_be_loaded_end_the_service(models: FixedModels, failure: Exception) -> None:
    async def scenario() -> None:
        async with started(FixedModels(models.served, models.engine, failure=failure)) as running:
            assert running.lifecycle.state is State.DEAD
            assert str(failure) in running.lifecycle.reason
            assert (await running.client.get("/livez")).status_code == 503
            assert (await running.client.post("/classify", json={"input": "好"})).status_code == 503

    asyncio.run(scenario())


def test_whoever_waits_is_told_once_it_is_ready(models: FixedModels) -> None:
    told: list[str] = []

    async def scenario() -> None:
        app = create_app(
            Settings(), open_models=lambda *_: models, on_ready=lambda: told.append("ready")
        )  # fmt: skip
        async with app.router.lifespan_context(app):
            await asyncio.sleep(0.05)

    asyncio.run(scenario())
    assert told == ["ready"]


def test_one_beside_others_takes_no_connection_before_it_can_serve(
    models: FixedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        load, loaded = models.start, asyncio.Event()

        async def start() -> None:
            await loaded.wait()
            await load()

        monkeypatch.setattr(models, "start", start)
        app = create_app(Settings(), open_models=lambda *_: models, patient=True)
        lifespan = app.router.lifespan_context(app)
        starting = asyncio.create_task(lifespan.__aenter__())
        await asyncio.sleep(0.1)
        assert not starting.done()
        loaded.set()
        await asyncio.wait_for(starting, 5)
        assert app.state.service.lifecycle.ready
        await lifespan.__aexit__(None, None, None)

    asyncio.run(scenario())


def test_one_that_waits_for_a_model_takes_connections_to_say_so(
    models: FixedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        waiting = asyncio.Event()

        async def start() -> None:
            app.state.service.lifecycle.waits_for("no model is served")
            await waiting.wait()

        monkeypatch.setattr(models, "start", start)
        app = create_app(Settings(), open_models=lambda *_: models, patient=True)
        async with asyncio.timeout(5), app.router.lifespan_context(app):
            assert app.state.service.lifecycle.status == "starting"

    asyncio.run(scenario())


def test_a_key_file_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read as a list of keys"):
        create_app(Settings(api_keys_file=tmp_path / "none"))
    with pytest.raises(SettingsError, match="cannot be read as a list of keys"):
        create_app(Settings(admin_key_file=tmp_path / "none"))


@pytest.mark.parametrize("path", ["/electra/classify", "/classify"])
def test_it_can_stand_under_a_prefix(models: FixedModels, path: str) -> None:
    """Whether the proxy strips the prefix or not."""

    async def scenario() -> None:
        async with started(models, root_path="/electra", api_keys="k") as running:
            answer = await running.client.post(path, json={"input": "好"}, headers={"X-API-Key": "k"})
            assert answer.status_code == 200
            assert (await running.client.post(path, json={"input": "好"})).status_code == 401
            assert (await running.client.get(path.replace("classify", "readyz"))).status_code == 200
            document = (await running.client.get("/openapi.json")).json()
            assert document["servers"] == [{"url": "/electra"}]

    asyncio.run(scenario())


def test_each_worker_allows_its_share_of_the_rate(models: FixedModels) -> None:
    async def scenario() -> None:
        limits = {"workers": 3, "rate_limit_per_minute": 60, "rate_limit_burst": 1}
        async with started(models, **limits) as running:
            assert (await running.client.post("/classify", json={"input": "好"})).status_code == 200
            refused = await running.client.post("/classify", json={"input": "好"})
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")

    asyncio.run(scenario())


def test_it_is_not_ready_while_it_closes(models: FixedModels) -> None:
    """Also under a server that does not drain by itself."""
    seen: list[State] = []

    class Closing(FixedModels):
        async def close(self) -> None:
            seen.append(running.lifecycle.state)

    async def scenario() -> None:
        nonlocal running
        async with started(Closing(models.served, models.engine)) as running:
            assert running.lifecycle.ready

    running: Running
    asyncio.run(scenario())
    assert seen == [State.DRAINING]


def test_the_version_is_the_distributions() -> None:
    assert service_version().count(".") == 2


def test_an_unhealthy_lifecycle_is_seen_from_outside(models: FixedModels) -> None:
    async def scenario() -> httpx.Response:
        async with started(models) as running:
            lifecycle: Lifecycle = running.lifecycle
            lifecycle.to_dead("inference is gone")
            return await running.client.get("/readyz")

    answer = asyncio.run(scenario())
    assert answer.json() == {"status": "dead", "reason": "inference is gone"}
