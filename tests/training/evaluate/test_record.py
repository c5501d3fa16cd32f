"""Figures in the bundle, which stays one that can be served."""

from __future__ import annotations

import shutil
from pathlib import Path

from app.bundle import Metric
from app.bundle_files import read_bundle
from app.tasks.local import local_model
from training.evaluate.record import card_languages, record_metrics


def metric(data_set: str, value: float) -> Metric:
    return Metric(data_set=data_set, split="test", n=9, metric="accuracy", value=value)


def test_new_figures_take_the_place_of_old_ones_on_the_same_data(toys: Path, tmp_path: Path) -> None:
    directory = tmp_path / "labels" / "1"
    shutil.copytree(toys / "labels" / "1", directory)
    record_metrics(directory, [metric("a", 0.1), metric("b", 0.2)])
    record_metrics(directory, [metric("b", 0.3)])
    bundle = read_bundle(directory)
    assert [(m.data_set, m.value) for m in bundle.manifest.metrics] == [("a", 0.1), ("b", 0.3)]
    assert "| b | test | 9 | accuracy | 0.3000 |" in (directory / "README.md").read_text(encoding="utf-8")
    local_model(directory)


def test_figures_of_a_name_that_was_ambiguous_go(toys: Path, tmp_path: Path) -> None:
    directory = tmp_path / "labels" / "1"
    shutil.copytree(toys / "labels" / "1", directory)
    record_metrics(directory, [metric("a", 0.1), metric("b", 0.2)])
    record_metrics(directory, [metric("x/a", 0.3), metric("y/a", 0.4)])
    assert [m.data_set for m in read_bundle(directory).manifest.metrics] == ["b", "x/a", "y/a"]


def test_a_bundle_that_failed_is_experimental_for_good(toys: Path, tmp_path: Path) -> None:
    directory = tmp_path / "labels" / "1"
    shutil.copytree(toys / "labels" / "1", directory)
    for failed, expected in ((False, False), (True, True), (False, True)):
        record_metrics(directory, [metric("a", 0.1)], failed=failed)
        assert read_bundle(directory).manifest.experimental is expected
        assert ("**Experimental**" in (directory / "README.md").read_text(encoding="utf-8")) is expected
    local_model(directory)


def test_languages_of_the_card_stay(toys: Path, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: mit\nlanguage:\n- zh\n- en\n---\n\n# x\n")
    assert card_languages(card) == ["zh", "en"]
    card.write_text("# no front matter\n")
    assert card_languages(card) == []
