"""Figures against scikit-learn, and the gate at its limits."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from app.scheduler.engine import RequestContext
from app.tasks.classify import classify
from app.tasks.local import local_model
from tests.toy import toy_bundle
from training.errors import UserError
from training.export.config import ExportConfig
from training.export.corruption import CorruptedRow
from training.export.quality import (
    agreement,
    classifier_quality,
    detector_quality,
    gate,
    predictions,
    read_test_table,
)
from training.tables import read_table

CONFIG = ExportConfig(name="x", checkpoint="y")
TEXTS = ["我喜欢", "苹果很好", "the cat", "不好", "今天天气", "good dog"]


@pytest.mark.parametrize(
    ("metric", "loss", "refused"),
    [
        ("accuracy", 0.003, False),
        ("accuracy", 0.0031, True),
        ("agreement", 0.0031, True),
        ("auroc", 0.01, False),
        ("auroc", 0.0101, True),
        ("masked_accuracy", 0.0031, True),
        ("macro_f1", 0.5, False),
    ],
)
def test_the_gate(metric: str, loss: float, refused: bool) -> None:
    refusal = gate({"fp32": {metric: 0.9}, "bf16": {metric: 0.9 - loss}}, "bf16", CONFIG)
    assert (refusal is not None) == refused
    if refusal:
        assert f"bf16 has {metric} {0.9 - loss:.4f} against 0.9000 of fp32" in str(refusal)


def test_a_gain_passes() -> None:
    assert gate({"fp32": {"accuracy": 0.9}, "int8": {"accuracy": 0.95}}, "int8", CONFIG) is None


def test_accuracy_and_macro_f1(tmp_path: Path) -> None:
    model = local_model(toy_bundle(tmp_path, "toy", task="classify", labels=("a", "b", "c")), threads=1)
    gold = ["a", "b", "c", "a", "b", "c"]
    (tmp_path / "t.tsv").write_text(
        "label\ttext\n" + "\n".join(map("\t".join, zip(gold, TEXTS, strict=True))), encoding="utf-8"
    )
    quality = classifier_quality(model, read_table(tmp_path / "t.tsv"))
    chosen = [("a", "b", "c")[i] for i in predictions(model, TEXTS, None).argmax(axis=1)]
    assert quality["accuracy"] == pytest.approx(accuracy_score(gold, chosen))
    assert quality["macro_f1"] == pytest.approx(f1_score(gold, chosen, average="macro", zero_division=0))


def test_a_long_text_is_judged_as_it_is_served(tmp_path: Path) -> None:
    model = local_model(toy_bundle(tmp_path, "toy", task="classify", labels=("a", "b", "c")), threads=1)
    text = "".join(TEXTS) * 12
    served = asyncio.run(classify(model, [text], context=RequestContext()))
    assert len(text) > model.encoder.room
    np.testing.assert_allclose(predictions(model, [text], None)[0], served[0].probs)


def test_a_text_that_is_refused_is_named(tmp_path: Path) -> None:
    model = local_model(toy_bundle(tmp_path, "toy", task="classify", labels=("a", "b", "c")), threads=1)
    rows = [{"label": "a", "text": "x", "text_pair": "y"}] * 2
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    table = read_table(tmp_path / "t.jsonl", drop_empty=True)
    # No file holds such text; whoever makes examples may.
    table.examples[1] = replace(table.examples[1], text_pair="y\ud800")
    with pytest.raises(UserError, match=r"t\.jsonl, line 2: holds half of a surrogate pair"):
        classifier_quality(model, table)
    with pytest.raises(UserError, match="text 1: holds half of a surrogate pair"):
        predictions(model, ["y\ud800"], None)


def test_several_labels_count_as_one_decision(tmp_path: Path) -> None:
    bundle = toy_bundle(tmp_path, "toy", task="classify", labels=("a", "b", "c"), problem_type="multi_label")
    model = local_model(bundle, threads=1)
    chosen = predictions(model, TEXTS, None) >= 0.5
    lines = ["labels\ttext"]
    for row, text in zip(chosen, TEXTS, strict=True):
        lines.append("|".join(label for label, on in zip("abc", row, strict=True) if on) + f"\t{text}")
    (tmp_path / "t.tsv").write_text("\n".join(lines), encoding="utf-8")
    assert classifier_quality(model, read_table(tmp_path / "t.tsv", "multi_label"))["accuracy"] == 1.0


def test_agreement_is_of_decisions_not_of_numbers() -> None:
    a = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4]])
    b = np.array([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9], [0.7, 0.3]])
    assert agreement(a, b, multi_label=False) == {"agreement": 0.75}
    # Several labels: 0.5 decides of each, and all of a row must agree.
    a, b = np.array([[0.9, 0.6], [0.4, 0.1], [0.5, 0.4]]), np.array([[0.6, 0.4], [0.2, 0.3], [0.7, 0.1]])
    assert agreement(a, b, multi_label=True) == {"agreement": pytest.approx(2 / 3)}


def test_auroc_of_known_logits(tmp_path: Path) -> None:
    model = local_model(toy_bundle(tmp_path, "toy", replaced=("错", "坏")), threads=1)
    encoded = model.encoder.encode("我错苹坏果好")
    replaced = np.array([False, True, False, False, True, False])
    row = CorruptedRow(encoded.ids, replaced, np.ones(6, bool))
    expected = roc_auc_score(replaced, [0, 1, 0, 1, 0, 0])
    assert detector_quality(model, [row])["auroc"] == pytest.approx(expected)


def test_a_label_that_the_classifier_never_had(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("label\ttext\na\tx\nz\ty\n")
    with pytest.raises(UserError, match=r"t\.tsv, line 3: label 'z' is none of the classifier's \(a, b\)"):
        read_test_table(str(tmp_path / "t.tsv"), ["a", "b"], False, 10)


def test_labels_of_the_test_table_are_renamed_as_in_fine_tuning(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("label\ttext\n1\t好\n0\t坏\n", encoding="utf-8")
    names = {"0": "negative", "1": "positive"}
    table = read_test_table(str(tmp_path / "t.tsv"), ["negative", "positive"], False, 10, names)
    assert [example.labels for example in table.examples] == [("positive",), ("negative",)]
    with pytest.raises(UserError, match=r"label_names: no row of .* has label 'l'"):
        read_test_table(str(tmp_path / "t.tsv"), ["0", "1"], False, 10, {"l": "positive"})
