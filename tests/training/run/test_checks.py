"""What would stop a run after its first hours is said before its first stage: models, places, checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.errors import UserError
from training.run.checks import check_files
from training.run.recipe import read_recipe, stage_names

ROOT = Path(__file__).parents[3]
SMALL = {"max_position_embeddings": 64}


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """Keys of a recipe with one classifier, whose tables are in order."""
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.tsv").write_text(f"label\ttext\ngood\t很好{name}\nbad\t难吃{name}\n")
    (tmp_path / "text.txt").write_text("text", encoding="utf-8")
    train, dev, test = ([str(tmp_path / f"{name}.tsv")] for name in ("train", "dev", "test"))
    return {
        "name": "x",
        "output": str(tmp_path / "runs" / "x"),
        "models": str(tmp_path / "runs" / "x" / "models"),
        "corpus": {"sources": [{"path": str(tmp_path / "text.txt")}]},
        "pretrain": {"phases": [{"steps": 10, "length": 32}], "warmup_steps": 1, "model": SMALL},
        "bundles": {"a": {"finetune": {"train": train, "dev": dev, "test": test, "max_tokens": 64}}},
    }


def check(tmp_path: Path, values: dict[str, Any]) -> list[str]:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    recipe = read_recipe(file)
    try:
        return check_files(recipe, stage_names(recipe))
    finally:
        assert sorted(tmp_path.rglob("*")) == before, "a check leaves nothing behind"


def put_checkpoint(directory: Path, positions: int) -> Path:
    directory.mkdir(parents=True)
    said = {
        "model_type": "electra",
        "architectures": ["ElectraForPreTraining"],
        "max_position_embeddings": positions,
    }
    (directory / "config.json").write_text(json.dumps(said), encoding="utf-8")
    for file in ("model.safetensors", "tokenizer.json"):
        (directory / file).write_bytes(b"")
    return directory


def test_a_recipe_in_order_passes(values: dict[str, Any], tmp_path: Path) -> None:
    assert check(tmp_path, values) == []


def test_rows_longer_than_the_pretrained_model_are_refused(values: dict[str, Any], tmp_path: Path) -> None:
    tuned = values["bundles"]["a"]["finetune"]
    values["bundles"]["a"]["intermediate"] = tuned | {"max_tokens": 65}
    message = r"x: bundles\.a\.intermediate\.max_tokens: 65 is more than the 64 positions of pretrain\.model;"
    with pytest.raises(UserError, match=message):
        check(tmp_path, values)
    del values["bundles"]["a"]["intermediate"]
    tuned["max_tokens"] = 100
    with pytest.raises(UserError, match=r"bundles\.a\.finetune\.max_tokens: 100 is more than the 64"):
        check(tmp_path, values)


@pytest.mark.parametrize("inside", ["", "discriminator"])
def test_rows_longer_than_the_start_reads_are_refused(
    values: dict[str, Any], tmp_path: Path, inside: str
) -> None:
    put_checkpoint(tmp_path / "start" / inside, 48)
    alone = {key: value for key, value in values.items() if key not in ("corpus", "pretrain")}
    going_on = values | {"pretrain": values["pretrain"] | {"model": {}}}
    for recipe in (alone, going_on):
        with pytest.raises(UserError, match=r"max_tokens: 64 is more than the 48 positions of .*/start;"):
            check(tmp_path, recipe | {"start": str(tmp_path / "start")})


def test_rows_longer_than_the_start_reads_are_refused_of_a_bundle(
    values: dict[str, Any], tmp_path: Path
) -> None:
    del values["corpus"], values["pretrain"]
    values["start"] = str(ROOT / "models" / "encoder")
    values["bundles"]["a"]["finetune"]["max_tokens"] = 512
    assert check(tmp_path, values) == []
    values["bundles"]["a"]["finetune"]["max_tokens"] = 513
    with pytest.raises(UserError, match=r"513 is more than the 512 positions of .*models/encoder; lower"):
        check(tmp_path, values)


def test_a_checkpoint_of_its_own_counts_instead(values: dict[str, Any], tmp_path: Path) -> None:
    own = put_checkpoint(tmp_path / "own", 32)
    tuned = values["bundles"]["a"]["finetune"]
    tuned["checkpoint"] = str(own)
    with pytest.raises(UserError, match=r"finetune\.max_tokens: 64 is more than the 32 positions of .*/own;"):
        check(tmp_path, values)
    # What comes after an intermediate task has the model of that one.
    before = dict(tuned) | {"max_tokens": 16}
    del tuned["checkpoint"]
    values["bundles"]["a"]["intermediate"] = before
    with pytest.raises(UserError, match=r"finetune\.max_tokens: 64 is more than the 32 positions of .*/own;"):
        check(tmp_path, values)
    (own / "config.json").unlink()
    with pytest.raises(UserError, match=r"x: bundles\.a\.intermediate\.checkpoint: .*/own: has no config"):
        check(tmp_path, values)
    # One that an earlier bundle leaves has that one's sizes.
    before["checkpoint"] = str(tmp_path / "runs" / "x" / "finetune" / "b")
    (line,) = check(tmp_path, values)
    assert line.endswith("finetune/b, which the run makes")


@pytest.mark.parametrize("key", ["output", "models", "models_dir", "report"])
def test_a_folder_that_cannot_be_made_is_refused(values: dict[str, Any], tmp_path: Path, key: str) -> None:
    taken = str(tmp_path / "text.txt")
    bundle, test = values["bundles"]["a"], values["bundles"]["a"]["finetune"]["test"]
    for path in (taken, f"{taken}/deeper", str(tmp_path / ("long" * 100))):
        if key in ("output", "models"):
            values[key], named = path, key
        elif key == "models_dir":
            bundle["export"], named = {"models_dir": path}, "bundles.a.export.models_dir"
        else:
            bundle["evaluate"], named = {"test": test, "output": path}, "bundles.a.evaluate.output"
        with pytest.raises(
            UserError, match=rf"x: {named}: {path}: cannot be made or written to \(.*name anoth"
        ):
            check(tmp_path, values)
