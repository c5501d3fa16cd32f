"""A name, or nothing, finds the model that was meant or says what there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import ModelNotFound
from tests.app.registry.serving import run, serving
from tests.toy import toy_bundle


def test_who_answers_when_no_name_is_given(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "a", task="classify")
    toy_bundle(tmp_path, "b", task="classify")
    root = toy_bundle(tmp_path, "0-trial", task="classify")
    manifest = json.loads((root / "bundle.json").read_text())
    (root / "bundle.json").write_text(json.dumps({**manifest, "experimental": True}))

    async def story() -> None:
        async with serving(tmp_path) as registry:
            assert registry.get(None, "classify").name == "a"
            with pytest.raises(ModelNotFound, match="no model for encode"):
                registry.get(None, "encode")
        async with serving(tmp_path, defaults=("b",)) as registry:
            assert registry.get(None, "classify").name == "b"
            assert [info.name for info in registry.models() if info.default] == ["b"]

    run(story)


def test_no_other_model_answers_for_a_default_that_is_not_served(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "a", task="classify")
    toy_bundle(tmp_path, "b", task="classify")
    toy_bundle(tmp_path, "encoder")

    async def story() -> None:
        async with serving(tmp_path, defaults=("b",)) as registry:
            await registry.unload("b")
            with pytest.raises(ModelNotFound, match=r"no default model for classify \(b\).*: a;"):
                registry.get(None, "classify")
            assert registry.get(None, "encode").name == "encoder", "another task has a default of its own"
            assert registry.get("a", "classify").name == "a"
            assert [info.name for info in registry.models() if info.default] == ["encoder"]
            assert registry.ready, "it is what an administrator wanted"
            await registry.load("b")
            assert registry.get(None, "classify").name == "b"

    run(story)


def test_a_name_that_is_not_served_is_told_what_is(tmp_path: Path) -> None:
    toy_bundle(tmp_path, "sentiment", task="classify")

    async def story() -> None:
        async with serving(tmp_path) as registry:
            assert registry.get("sentiment@1", "classify").version == "1"
            with pytest.raises(ModelNotFound, match="models for classify: sentiment"):
                registry.get("nobody", "classify")
            with pytest.raises(ModelNotFound, match="served in version 1"):
                registry.get("sentiment@2", "classify")
            with pytest.raises(ModelNotFound, match="is a model for classify; models for encode: none"):
                registry.get("sentiment", "encode")

    run(story)
