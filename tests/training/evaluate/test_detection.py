"""The sections of a report on real errors, on clean text and on corrupted text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score

from app.bundle import Calibration
from app.tasks.model import ServedModel
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.evaluate.detection import judge_corrupted, judge_real_errors, read_clean, some_texts
from training.evaluate.detection_figures import headline
from training.export.unit_scores import score_units
from training.tables import read_table


def test_the_section_on_real_errors(detector: ServedModel, errors: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean.txt"
    clean.write_text("今天天气很好，我去公园。\n他说的人们是不坏的新闻。\n", encoding="utf-8")
    config = EvaluateConfig(errors=[str(errors)], clean=[str(clean)])
    section = judge_real_errors(detector, config, tmp_path, progress=False)
    figures = section.figures["errors"]
    units = score_units(detector, read_table(errors, "error_detection").examples)
    assert figures["auroc"] == pytest.approx(roc_auc_score(units.wrong, units.scores))
    assert figures["thresholds"]["balanced"]["f1"] == pytest.approx(4 / 7)
    assert section.figures["clean"]["thresholds"]["balanced"]["false_alarms"] == pytest.approx(0.5)
    assert "exactly" in section.text[0]
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")
    lines = headline([section])
    assert "F1 0.571" in lines[0]
    assert "false alarms in 50.0% of clean sentences" in lines[1]
    assert some_texts(config)[0] == "我喜欢吃错果。"


def test_files_of_one_name_are_told_apart_by_their_folders(
    detector: ServedModel, errors: Path, tmp_path: Path
) -> None:
    places = []
    for folder in ("sighan", "cgec", "clean"):
        (tmp_path / folder).mkdir()
        places.append(tmp_path / folder / "test.jsonl")
        rows = '{"text": "我去公园。", "errors": []}\n' if folder == "clean" else errors.read_text("utf-8")
        places[-1].write_text(rows, encoding="utf-8")
    config = EvaluateConfig(errors=[str(path) for path in places[:2]], clean=[str(places[2])])
    section = judge_real_errors(detector, config, tmp_path, progress=False)
    assert list(section.figures) == ["sighan/test", "cgec/test", "clean/test"]
    assert {metric.data_set for metric in section.metrics} == set(section.figures)
    with pytest.raises(UserError, match=r"sighan/test\.jsonl is named twice"):
        judge_real_errors(detector, EvaluateConfig(errors=[str(places[0])] * 2), tmp_path, progress=False)


def test_a_saved_data_set_is_judged_on_its_test_part(detector: ServedModel, tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    parts = {
        part: Dataset.from_dict({"text": ["我喜欢吃坏果。"] * count, "errors": [[4]] * count})
        for part, count in {"train": 5, "test": 2}.items()
    }
    DatasetDict(parts).save_to_disk(str(tmp_path / "set"))
    asked = EvaluateConfig(errors=[str(tmp_path / "set")])
    assert len(some_texts(asked)) == 2
    assert judge_real_errors(detector, asked, tmp_path, progress=False).figures["set"]["texts"] == 2


def test_the_section_on_corrupted_text(detector: ServedModel, tmp_path: Path) -> None:
    text = tmp_path / "heldout.txt"
    text.write_text(
        "\n".join(["我喜欢吃苹果今天天气很好。", "中国新闻体育经济大小上下。"] * 8), encoding="utf-8"
    )
    config = EvaluateConfig(heldout=[str(text)], heldout_sentences=10)
    section = judge_corrupted(detector, config, tmp_path, progress=False)
    assert section.figures.keys() == {
        "generator",
        "own generator",
        "random confusion sets",
        "shuffled characters",
    }
    assert section.figures["own generator"]["units"] > 0
    assert {metric.metric for metric in section.metrics} >= {"auroc", "average_precision", "f1 (balanced)"}


def test_scores_of_corrupted_text_are_calibrated_as_the_services_are(
    detector: ServedModel, tmp_path: Path
) -> None:
    text = tmp_path / "heldout.txt"
    text.write_text("\n".join(["我喜欢吃错果今天天气很好。"] * 16), encoding="utf-8")
    # The toy's logits are 4 and -4: at temperature 4 the scores are 0.73 and 0.27.
    calibration = Calibration(
        temperature=4.0,
        thresholds={"balanced": 0.7, "precise": 0.9, "sensitive": 0.3},
        fitted_on="x",
        date="x",
    )
    manifest = detector.bundle.manifest.model_copy(update={"calibration": calibration})
    model = replace(detector, bundle=replace(detector.bundle, manifest=manifest))
    section = judge_corrupted(model, EvaluateConfig(heldout=[str(text)]), tmp_path, progress=False)
    for name in ("own generator", "shuffled characters"):
        at = section.figures[name]["thresholds"]
        assert at["balanced"]["flags_per_thousand"] == at["sensitive"]["flags_per_thousand"] > 0, name
        assert at["precise"]["flags_per_thousand"] == at["precise"]["recall"] == 0, name


def test_data_that_cannot_be_used(detector: ServedModel, errors: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"errors\.jsonl, line 1: has an error marked"):
        read_clean(str(errors))
    clean = tmp_path / "none.jsonl"
    clean.write_text('{"text": "我去公园。", "errors": []}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"none\.jsonl: marks no error"):
        judge_real_errors(detector, EvaluateConfig(errors=[str(clean)]), tmp_path, progress=False)
