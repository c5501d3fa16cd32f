"""What is served, as documented; and who may change it (test_access.py asks more)."""

from __future__ import annotations

import asyncio

from app.api.routes.models import ModelList
from app.api.schemas.models import ModelCard
from tests.service import FixedModels, started


def test_cards_are_as_documented(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            listed = (await running.client.get("/v1/models")).json()
            ModelList.model_validate(listed)
            for card in listed["data"]:
                assert set(card) == set(ModelCard.model_fields)
                assert (await running.client.get(f"/v1/models/{card['id']}")).json() == card
            by_name = {card["id"]: card for card in listed["data"]}
            assert by_name["encoder"]["suggestions"]
            assert by_name["encoder"]["endpoints"] == ["/detect-replaced", "/summarize"]
            assert by_name["sentiment"]["refused"] == {"9": "is damaged"}, "of this model only"
            assert listed["refused"] == [
                {"name": "other", "version": None, "reason": "cannot be read"},
                {"name": "sentiment", "version": "9", "reason": "is damaged"},
            ], "there too when nothing of it is served"
            missing = await running.client.get("/v1/models/nobody")
            assert missing.status_code == 404
            assert "encoder" in missing.json()["detail"]

    asyncio.run(scenario())


def test_administration_is_off_without_a_key(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            answer = await running.client.post("/v1/models/sentiment/unload")
            assert (answer.status_code, models.done) == (403, [])
        async with started(models, admin_key="boss") as running:
            answer = await running.client.post("/v1/models/sentiment/unload")
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="electra"')
            keys = {"Authorization": "Bearer "}
            answer = await running.client.post("/v1/models/sentiment/unload", headers=keys)
            assert (answer.status_code, models.done) == (401, [])

    asyncio.run(scenario())
