"""The model card in the hub's form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from app.bundle import Metric
from app.bundle_files import read_bundle
from training.export.card import model_card


@pytest.mark.parametrize(
    ("name", "tag"), [("classifier", "text-classification"), ("encoder", "feature-extraction")]
)
def test_front_matter_and_files(name: str, tag: str, models: Path) -> None:
    manifest = read_bundle(models / name / "1").manifest
    metric = Metric(
        data_set="waimai",
        split="test",
        n=7,
        metric="accuracy",
        value=0.91234,
        baseline="LR",
        baseline_value=0.9,
    )
    card = model_card(manifest.model_copy(update={"metrics": [metric]}), ["zh", "en"])
    _, front, body = card.split("---\n", 2)
    values = yaml.safe_load(front)
    assert values["license"] == "apache-2.0"
    assert values["language"] == ["zh", "en"]
    assert values["pipeline_tag"] == tag
    assert values["model-index"][0]["results"][0]["metrics"] == [{"type": "accuracy", "value": 0.9123}]
    for entry in manifest.graphs["model"].files.values():
        assert f"`{entry.path}`" in body
    assert "| waimai | test | 7 | accuracy | 0.9123 | LR: 0.9000 |" in body
    tested = metric.model_copy(update={"baseline_p": 5.74e-5})
    card = model_card(manifest.model_copy(update={"metrics": [tested]}), ["zh", "en"])
    assert "| waimai | test | 7 | accuracy | 0.9123 | LR: 0.9000 (p = 5.7e-05) |" in card


def test_the_card_in_the_bundle_is_the_card_of_its_manifest(models: Path) -> None:
    bundle = read_bundle(models / "encoder" / "1")
    without = bundle.manifest.model_copy(update={"card": None})
    assert (bundle.path / "README.md").read_text(encoding="utf-8") == model_card(without, ["zh", "en"])


def test_a_precision_that_is_not_shipped_is_still_reported(models: Path) -> None:
    manifest = read_bundle(models / "classifier" / "1").manifest
    graph = manifest.graphs["model"]
    only = graph.model_copy(update={"files": {"int8": graph.files["int8"]}, "default_precision": "int8"})
    card = model_card(manifest.model_copy(update={"graphs": {"model": only}}), [])
    assert "| not shipped | fp32 |" in card
    assert "**Experimental**" not in card


@pytest.mark.parametrize("refused", [None, ["bf16"]])
def test_bf16_has_no_file_of_its_own(refused: list | None, models: Path) -> None:
    manifest = read_bundle(models / "classifier" / "1").manifest
    graph = manifest.graphs["model"]
    quality = graph.quality | {"bf16": {"accuracy": 0.5}}
    measured = graph.model_copy(update={"quality": quality, "refused": refused})
    card = model_card(manifest.model_copy(update={"graphs": {"model": measured}}), [])
    used = "; not used, it loses too much" if refused else ""
    assert f"| `model.onnx`, by OpenVINO on CPUs with AMX{used} | bf16 | | accuracy 0.5000 |" in card


def test_the_card_claims_nothing_that_was_not_stated(models: Path) -> None:
    manifest = read_bundle(models / "classifier" / "1").manifest
    stated = model_card(manifest, ["zh"])
    assert "not stated by its maker" not in stated
    origin = manifest.provenance.model_copy(update={"licence": ""})
    card = model_card(manifest.model_copy(update={"provenance": origin}), [])
    _, front, body = card.split("---\n", 2)
    values = yaml.safe_load(front)
    assert values["license"] == "other"
    assert "language" not in values
    assert "- licence: not stated by its maker" in body


def test_experimental_says_what_of(models: Path) -> None:
    metric = Metric(data_set="sighan", split="test", n=7, metric="auroc", value=0.84)
    for name, said in (
        ("classifier", "**Experimental**: it does not clear the bar for publication yet."),
        ("encoder", "**Experimental**, said of detection: at the default threshold"),
    ):
        manifest = read_bundle(models / name / "1").manifest.model_copy(update={"experimental": True})
        card = model_card(manifest, [])
        assert said in card
        # No bar is set for encoders, and nobody is sent to figures that are not there.
        assert ("the bar" in card) is (name == "classifier")
        assert "stand under Results" not in card
        measured = model_card(manifest.model_copy(update={"metrics": [metric]}), [])
        assert ("stand under Results" in measured) is (name == "encoder")


@pytest.mark.parametrize("name", ["classifier", "encoder"])
@pytest.mark.parametrize(
    ("languages", "english"),
    [(["en"], True), (["en-GB", "en"], True), (["zh", "en"], False), (["zh"], False), ([], False)],
)
def test_the_example_is_in_the_language_of_the_model(
    name: str, languages: list[str], english: bool, models: Path
) -> None:
    card = model_card(read_bundle(models / name / "1").manifest, languages)
    (body,) = re.findall(r"-d '([^']*)'", card)
    assert json.loads(body)["input"].isascii() is english
