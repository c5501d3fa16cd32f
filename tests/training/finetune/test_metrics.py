"""Figures against scikit-learn and against counts made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from training.finetune.features import IGNORED, Feature
from training.finetune.metrics import (
    averaged,
    entities,
    has_failed,
    is_bio,
    majority_scores,
    primary_metric,
    score,
)
from training.tables import ORIGINAL, REPLACED, Example, Task

NO_UNITS = np.zeros((0, 2), np.int64)


def _row(target: np.ndarray, units: np.ndarray = NO_UNITS, example: int = 0) -> Feature:
    ids = np.zeros(max(target.size if target.ndim else 1, 1), np.int64)
    return Feature(ids, ids, target, example, units)


def test_single_label_equals_scikit_learn() -> None:
    random = np.random.default_rng(0)
    logits, wanted = random.normal(size=(50, 4)), random.integers(0, 4, 50)
    rows = [_row(np.asarray(label)) for label in wanted]
    figures = score("single_label", list("abcd"), [], rows, list(logits))
    assert figures["accuracy"] == sk.accuracy_score(wanted, logits.argmax(1))
    assert figures["macro_f1"] == sk.f1_score(wanted, logits.argmax(1), average="macro")


def test_multi_label_equals_scikit_learn() -> None:
    random = np.random.default_rng(1)
    logits, wanted = random.normal(size=(40, 3)), random.integers(0, 2, (40, 3)).astype(np.float32)
    figures = score("multi_label", list("abc"), [], [_row(row) for row in wanted], list(logits))
    assert figures["micro_f1"] == pytest.approx(sk.f1_score(wanted, logits > 0, average="micro"))
    assert figures["exact_match"] == pytest.approx(((logits > 0) == wanted).all(1).mean())


def test_detection_ignores_what_is_not_asked() -> None:
    random = np.random.default_rng(2)
    wanted = [random.integers(0, 2, 9) for _ in range(6)]
    logits = [random.normal(size=9) for _ in range(6)]
    asked = [np.concatenate([[IGNORED], row[1:]]) for row in wanted]
    figures = score("error_detection", [ORIGINAL, REPLACED], [], [_row(row) for row in asked], logits)
    true, given = np.concatenate([r[1:] for r in wanted]), np.concatenate([r[1:] for r in logits])
    assert figures["auroc"] == sk.roc_auc_score(true, given)
    assert figures["average_precision"] == sk.average_precision_score(true, given)
    assert figures["f1"] == pytest.approx(sk.f1_score(true, given > 0))


def test_entities_are_whole_spans_of_one_kind() -> None:
    labels = ["B-P", "I-P", "O", "I-L", "I-L", "B-L", "I-P"]
    assert entities(labels) == [(0, 2, "P"), (3, 5, "L"), (5, 6, "L"), (6, 7, "P")]
    assert entities([]) == []
    assert is_bio(labels)
    assert not is_bio(["NOUN", "O"])


def test_token_figures_are_over_units_of_all_rows() -> None:
    labels = ["B-P", "I-P", "O"]
    example = Example("abcd", "", ("B-P", "I-P", "O", "B-P"), None, tuple((at, at + 1) for at in range(4)))
    rows = [
        _row(np.zeros(3, np.int64), np.array([[0, 0], [1, 1], [2, 2]])),
        _row(np.zeros(1, np.int64), np.array([[3, 0]])),
    ]
    logits = [np.eye(3)[[0, 1, 2]], np.eye(3)[[2]]]
    figures = score("token_labels", labels, [example], rows, logits)
    assert figures["accuracy"] == 0.75
    assert (figures["entity_precision"], figures["entity_recall"]) == (1.0, 0.5)
    assert figures["entity_f1"] == pytest.approx(2 / 3)


def test_an_entity_that_begins_with_a_word_of_several_units_goes_on_in_it() -> None:
    labels = ["B-ORG", "I-ORG", "O"]
    text = "在WTO开会"
    gold = ("O", "B-ORG", "I-ORG", "I-ORG", "O", "O")
    example = Example(text, "t, line 2", gold, None, tuple((at, at + 1) for at in range(6)))
    # [CLS] 在 wto 开 会 [SEP]: one token holds three characters.
    units = np.array([[0, 1], [1, 2], [2, 2], [3, 2], [4, 3], [5, 4]])
    logits = np.full((6, 3), -9.0)
    logits[[0, 1, 3, 4, 5], 2] = logits[2, 0] = 9.0
    row = _row(np.full(6, IGNORED), units)
    figures = score("token_labels", labels, [example], [row], [logits])
    assert (figures["entity_f1"], figures["accuracy"]) == (1.0, 1.0)


def test_an_entity_is_found_only_in_its_own_text() -> None:
    labels = ["B-P", "O"]
    examples = [Example("a", "", (label,), None, ((0, 1),)) for label in labels]
    rows = [_row(np.zeros(1, np.int64), np.array([[0, 0]]), at) for at in range(2)]
    figures = score("token_labels", labels, examples, rows, [np.eye(2)[[1]], np.eye(2)[[0]]])
    assert (figures["accuracy"], figures["entity_precision"], figures["entity_recall"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("task", "labels", "metric"),
    [
        ("single_label", ["a", "b"], "accuracy"),
        ("multi_label", ["a", "b"], "micro_f1"),
        ("token_labels", ["B-P", "I-P", "O"], "entity_f1"),
        ("token_labels", ["NOUN", "VERB"], "accuracy"),
        # AUROC hardly moves where one token in fifty is wrong.
        ("error_detection", [ORIGINAL, REPLACED], "average_precision"),
    ],
)
def test_checkpoints_are_chosen_by_the_usual_figure(task: Task, labels: list[str], metric: str) -> None:
    assert primary_metric(task, labels) == metric


def test_majority_level_is_failure_and_so_is_nan() -> None:
    train = [_row(np.asarray(label)) for label in (0, 0, 1)]
    dev = [_row(np.asarray(label)) for label in (1, 0, 0, 0)]
    majority = majority_scores("single_label", ["a", "b"], train, [], dev)
    assert majority["accuracy"] == 0.75
    assert has_failed({"accuracy": 0.755}, majority, "accuracy")
    assert not has_failed({"accuracy": 0.8}, majority, "accuracy")
    broken = score("single_label", ["a", "b"], [], dev, [np.full(2, math.nan)] * 4)
    assert has_failed(broken, majority, "accuracy")


def test_majority_of_detection_is_the_base_rate() -> None:
    rows = [_row(np.array([IGNORED, 0, 0, 0, 1]))]
    majority = majority_scores("error_detection", [ORIGINAL, REPLACED], rows, [], rows)
    assert (majority["average_precision"], majority["auroc"]) == (0.25, 0.5)


def test_a_soft_vote_averages_probabilities() -> None:
    one, two = np.log([0.9, 0.1]), np.log([0.3, 0.7])
    (row,) = averaged("single_label", [[one + 5], [two]])
    np.testing.assert_allclose(np.exp(row), [0.6, 0.4], rtol=1e-6)
    (row,) = averaged("multi_label", [[np.array([0.0, 2.0])], [np.array([0.0, -2.0])]])
    np.testing.assert_allclose(row, [0, 0], atol=1e-9)
