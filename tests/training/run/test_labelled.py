"""Tables that do not fit each other, or the keys beside them, are refused before the first stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.errors import UserError
from training.run import labelled
from training.run.checks import check_files
from training.run.recipe import read_recipe, stage_names

TABLES = {"train.tsv": "good bad", "dev.tsv": "bad good", "test.tsv": "bad", "other.tsv": "good 5"}
Check = Callable[..., list[str]]


def rows(labels: str, name: str) -> str:
    return "label\ttext\n" + "".join(f"{label}\t很好{at}{name}\n" for at, label in enumerate(labels.split()))


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Check a recipe of one classifier, with other keys for its parts."""
    monkeypatch.chdir(tmp_path)
    for name, labels in TABLES.items():
        Path(name).write_text(rows(labels, name), encoding="utf-8")
    Path("text.txt").write_text("text", encoding="utf-8")

    def checked(**changes: dict[str, Any]) -> list[str]:
        tables = {"train": ["train.tsv"], "dev": ["dev.tsv"], "test": ["test.tsv"], "max_tokens": 64}
        parts: dict[str, Any] = {"finetune": tables, "export": {"test_data": "test.tsv"}}
        parts["evaluate"] = {"train": ["train.tsv"], "test": "test.tsv"}
        if "intermediate" in changes:
            parts["intermediate"] = tables
        parts = {part: keys | changes.get(part, {}) for part, keys in parts.items()}
        recipe = {
            "name": "x",
            "output": "runs",
            "models": "models",
            "corpus": {"sources": [{"path": "text.txt"}]},
            "pretrain": {"phases": [{"steps": 10}], "warmup_steps": 1},
            "bundles": {"a": parts},
        }
        Path("recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        known = read_recipe(Path("recipe.yaml"))
        return check_files(known, stage_names(known))

    return checked


@pytest.mark.parametrize("part", ["finetune", "intermediate"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": ["other.tsv"]}, "test: other.tsv, line 3: test has label '5', which train never had"),
        ({"dev": ["other.tsv"]}, "dev: other.tsv, line 3: dev has label '5', which train never had"),
        ({"train": ["test.tsv"]}, r"train: test.tsv, line 2: train has one class only \(bad\)"),
        (
            {"dev": []},
            "train: train.tsv, line 2: 2 rows of 2 different texts are too few to hold out 0.1 of them",
        ),
        (
            {"label_names": {"goood": "fine"}},
            "label_names: no row of .* has label 'goood'; did you mean 'good'",
        ),
        ({"class_weights": {"nolabel": 3.0}}, "class_weights: no label 'nolabel'; labels are bad, good"),
        ({"class_weights": {"good": 0.0}}, "class_weights: weights must be above 0"),
        ({"metric": "acc"}, "metric: no 'acc' for task single_label; one of accuracy, macro_f1"),
        ({"max_train_rows": 1}, "max_train_rows: 1 rows cannot hold the 2 labels of train"),
        ({"train": ["test.tsv"], "test": [], "overlap": "drop", "dev": ["test.tsv"]}, "every train row also"),
    ],
)
def test_what_stops_a_fine_tuning_is_said_with_its_key(
    check: Check, part: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=rf"^x: bundles\.a\.{part}[.:].*{message}"):
        check(**{part: changes})


def test_settings_that_fit_pass(check: Check) -> None:
    fits = {"class_weights": {"poor": 2.0}, "metric": "macro_f1", "label_names": {"bad": "poor"}}
    assert check(finetune=fits, intermediate={}) == []


@pytest.mark.parametrize(
    ("task", "metric", "known"),
    [
        ("multi_label", "exact_match", "micro_f1, macro_f1, exact_match"),
        ("error_detection", "auroc", "average_precision, auroc, precision, recall, f1"),
        ("token_labels", "entity_f1", "accuracy, entity_precision, entity_recall, entity_f1"),
    ],
)
def test_a_metric_is_that_of_the_task(check: Check, task: str, metric: str, known: str) -> None:
    tables = {
        "multi_label": '{"text": "很好", "labels": ["a", "b"]}\n{"text": "坏", "labels": ["b"]}\n',
        "error_detection": '{"text": "很好", "errors": [1]}\n',
        "token_labels": '{"tokens": ["a", "b"], "labels": ["B-x", "O"]}\n',
    }
    Path("t.jsonl").write_text(tables[task], encoding="utf-8")
    told = {"task": task, "train": ["t.jsonl"], "dev": ["t.jsonl"], "test": []}
    assert check(intermediate=told | {"metric": metric}) == []
    with pytest.raises(UserError, match=f"intermediate.metric: no 'acc' for task {task}; one of {known}$"):
        check(intermediate=told | {"metric": "acc"})


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (
            "export",
            {"test_data": "other.tsv"},
            "test_data: other.tsv, line 3: export.test_data has label '5'",
        ),
        ("export", {"label_names": {"bad": "poor"}}, "test_data: .* has label 'poor', which train never had"),
        ("evaluate", {"test": ["test.tsv", "other.tsv"]}, "test: other.tsv, line 3: evaluate.test has"),
        ("evaluate", {"train": ["other.tsv"]}, "train: other.tsv, line 3: evaluate.train has label '5'"),
        ("evaluate", {"label_names": {"x": "bad"}}, "label_names: no row of .* has label 'x'"),
    ],
)
def test_tables_to_judge_by_have_labels_that_train_has(
    check: Check, part: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=rf"^x: bundles\.a\.{part}\.{message}"):
        check(**{part: changes})


def test_a_new_name_makes_a_label_known(check: Check) -> None:
    names = {"label_names": {"5": "bad"}}
    assert check(export=names | {"test_data": "other.tsv"}, evaluate=names | {"test": "other.tsv"}) == []


def test_tables_that_are_left_for_later_are_told(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled, "_LARGEST_TABLE", 60)
    Path("train.tsv").write_text(rows("good bad 5 5", "train"), encoding="utf-8")
    assert check(finetune={"test": ["other.tsv"], "metric": "accuracy"}, evaluate={"train": []}) == [
        "bundles.a.finetune.train: what is in train.tsv, a large table",
        "bundles.a.finetune: whether its tables fit together",
    ]
    with pytest.raises(UserError, match=r"bundles\.a\.finetune\.metric: no 'acc'"):
        check(finetune={"metric": "acc"})


def test_made_errors_need_no_errors_in_the_tables(check: Check) -> None:
    Path("e.jsonl").write_text('{"text": "很好", "errors": []}\n', encoding="utf-8")
    told = {"task": "error_detection", "train": ["e.jsonl"], "dev": ["e.jsonl"], "test": []}
    with pytest.raises(UserError, match="no row of train has an error"):
        check(intermediate=told)
    made = told | {"corruption": {"text": ["text.txt"]}}
    assert check(intermediate=made | {"class_weights": {"replaced": 2.0}}) == []
    with pytest.raises(UserError, match=r"intermediate\.class_weights: no label 'wrong'"):
        check(intermediate=made | {"class_weights": {"wrong": 2.0}})
