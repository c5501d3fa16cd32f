"""What the bundles of a recipe start from: weights that are there, and pretraining that goes on from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.errors import UserError
from training.export.checkpoint import load_checkpoint
from training.export.dry_run import write_checkpoints, write_text
from training.run.foundation import networks
from training.run.recipe import Recipe, read_recipe
from training.run.rehearsal import rehearse
from training.run.stages import StageLog
from training.tokenizer import tokenizer_digest

PRETRAIN = {
    "phases": [{"steps": 2, "length": 32, "rows": 4}],
    "warmup_steps": 1,
    "learning_rate": 1e-6,
    "evaluation_rows": 4,
    "numbers": "float32",
}


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """Keys of a recipe that starts from two small networks."""
    write_checkpoints(tmp_path / "pretrained")
    write_text(tmp_path / "text.txt")
    return {
        "name": "x",
        "output": str(tmp_path / "runs"),
        "models": str(tmp_path / "models"),
        "start": str(tmp_path / "pretrained"),
        "bundles": {"encoder": {}},
    }


def recipe_of(values: dict[str, Any]) -> Recipe:
    file = Path(values["output"]).with_name("recipe.yaml")
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return read_recipe(file)


def run(recipe: Recipe) -> tuple[Path, list[str]]:
    """The networks, and the stages that were done."""
    said: list[str] = []
    place = networks(recipe, StageLog(Path(recipe.output) / "stages", report=said.append), progress=False)
    return place, [line.split()[1].rstrip(":") for line in said if ": done in " in line]


def test_weights_that_are_there_are_all_that_is_needed(values: dict[str, Any], tmp_path: Path) -> None:
    place, done = run(recipe_of(values))
    assert (place, done) == (tmp_path / "runs" / "start", ["start"])
    assert load_checkpoint(place / "generator").kind == "generator"
    assert run(recipe_of(values))[1] == []
    # Other weights under the same name are another start.
    write_checkpoints(tmp_path / "pretrained", seed=1)
    assert run(recipe_of(values))[1] == ["start"]


def test_pretraining_goes_on_from_them(values: dict[str, Any], tmp_path: Path) -> None:
    text = {"sources": [{"path": str(tmp_path / "text.txt"), "documents": "line"}], "held_out": 0.2}
    going_on = values | {"corpus": text | {"min_characters": 4}, "pretrain": PRETRAIN}
    place, done = run(recipe_of(going_on))
    assert done == ["start", "tokenizer", "corpus", "pretrain"]
    start, end = (load_checkpoint(path / "discriminator").model for path in (Path(going_on["start"]), place))
    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "embedding_size"):
        assert getattr(end.config, key) == getattr(start.config, key), key
    assert tokenizer_digest(place / "discriminator") == tokenizer_digest(
        tmp_path / "runs" / "start" / "discriminator"
    )
    # Two steps at a small rate: the weights are theirs, moved a little.
    for (name, before), after in zip(start.named_parameters(), end.parameters(), strict=True):
        assert 0 <= float((before - after).detach().abs().max()) < 1e-3, name
    assert any(bool((a != b).any()) for a, b in zip(start.parameters(), end.parameters(), strict=True))
    # Other weights under the same name: what was trained from the old ones is no result of them.
    write_checkpoints(tmp_path / "pretrained", seed=1)
    with pytest.raises(UserError, match="was trained with another start; choose another output directory"):
        run(recipe_of(going_on))
    record = json.loads((place / "pretrain.json").read_text(encoding="utf-8"))
    assert record["config"]["warm_start"] == str(tmp_path / "runs" / "start")
    assert record["config"]["model"]["embedding_sharing"] == "gdes"


def test_terms_of_a_start_go_on_through_pretraining(values: dict[str, Any], tmp_path: Path) -> None:
    known = {"tokens_seen": 7, "hardware": "a", "corpus_digest": "c", "licence": "other", "data": ["news"]}
    known |= {"text": ["before: 2 documents"]}
    (tmp_path / "pretrained" / "pretrain.json").write_text(json.dumps(known))
    text = {"sources": [{"path": str(tmp_path / "text.txt"), "documents": "line"}], "held_out": 0.2}
    place, _ = run(recipe_of(values | {"corpus": text | {"min_characters": 4}, "pretrain": PRETRAIN}))
    record = json.loads((place / "pretrain.json").read_text(encoding="utf-8"))
    assert (record["licence"], record["data"], record["matmul_flops"]) == ("other", ["news"], None)
    earlier, own = record["text"]
    assert earlier == "before: 2 documents"
    counts = json.loads((tmp_path / "runs" / "shards" / "manifest.json").read_text("utf-8"))["sources"][
        "text"
    ]
    assert counts["heldout_documents"] > 0
    seen = [counts[kind] - counts[f"heldout_{kind}"] for kind in ("documents", "tokens")]
    assert own == f"text: {seen[0]} documents, {seen[1]} tokens of pretraining text"
    assert record["tokens_seen"] == 7 + 2 * 32 * 4
    assert record["hardware"].startswith("a, then ")


def test_what_does_not_go_together_is_said_before_any_work(values: dict[str, Any], tmp_path: Path) -> None:
    text = {"sources": [{"path": str(tmp_path / "text.txt"), "documents": "line"}]}
    for key, value in (("warm_start", "x"), ("word_initialization", "cooccurrence")):
        with pytest.raises(UserError, match=f"pretrain.{key}: the weights are those of `start`"):
            recipe_of(values | {"corpus": text, "pretrain": PRETRAIN | {key: value}})
    too_long = PRETRAIN | {"phases": [{"steps": 2, "length": 128}]}  # the start knows 64 positions
    for start in (run, rehearse):
        with pytest.raises(UserError, match=r"x: pretrain: does not fit .*rows of 128 tokens"):
            start(recipe_of(values | {"corpus": text, "pretrain": too_long}))


def test_a_rehearsal_opens_the_weights(values: dict[str, Any], tmp_path: Path) -> None:
    text = {"sources": [{"path": str(tmp_path / "text.txt"), "documents": "line"}]}
    alone, going_on = recipe_of(values), recipe_of(values | {"corpus": text, "pretrain": PRETRAIN})
    for recipe in (alone, going_on):
        assert rehearse(recipe) == 0
    (tmp_path / "pretrained" / "discriminator" / "model.safetensors").write_bytes(b"no weights")
    for recipe in (alone, going_on):
        with pytest.raises(UserError, match=r"start/discriminator(/model\.safetensors)?: "):
            rehearse(recipe)
    assert not (tmp_path / "runs").exists()
