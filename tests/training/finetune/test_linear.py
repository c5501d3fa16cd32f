"""The linear teacher answers like scikit-learn's own model, and never of rows that it was fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from training.baselines import TfidfLogistic
from training.errors import UserError
from training.finetune import linear
from training.finetune.dry_run import reviews
from training.finetune.linear import fit_linear, linear_logits, linear_teacher
from training.tables import Example, Task

LABELS = ["positive", "negative"]


def _examples(count: int, seed: int) -> list[Example]:
    return [Example(text, "", (label,)) for label, text in reviews(count, seed=seed)]


def test_columns_follow_the_labels_that_are_asked_for() -> None:
    train, test = _examples(60, 1), _examples(20, 2)
    logits = linear_logits(fit_linear("single_label", train, LABELS), "single_label", test, LABELS)
    plain = TfidfLogistic.fit([e.text for e in train], [e.label for e in train])
    assert plain.labels == ["negative", "positive"]
    np.testing.assert_allclose(
        np.exp(logits)[:, ::-1], plain.probabilities([e.text for e in test]), atol=1e-6
    )


def test_several_labels_are_log_odds() -> None:
    train, test = _examples(60, 1), _examples(20, 2)
    logits = linear_logits(fit_linear("multi_label", train, LABELS), "multi_label", test, LABELS)
    assert [LABELS[row.argmax()] for row in logits] == [example.label for example in test]
    assert logits.min() < 0 < logits.max()


def test_no_row_is_answered_by_a_model_that_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    train = _examples(100, 1)
    fitted: list[list[Example]] = []
    answered: list[Example] = []

    def fit(task: Task, examples: Sequence[Example], labels: Sequence[str]) -> TfidfLogistic:
        fitted.append(list(examples))
        return fit_linear(task, examples, labels)

    def answer(
        model: TfidfLogistic, task: Task, examples: Sequence[Example], labels: Sequence[str]
    ) -> np.ndarray:
        assert not any(example is known for example in examples for known in fitted[-1])
        answered.extend(examples)
        return np.array([[train.index(example)] for example in examples])

    monkeypatch.setattr(linear, "fit_linear", fit)
    monkeypatch.setattr(linear, "linear_logits", answer)
    assert [int(row[0]) for row in linear_teacher("single_label", train, [], LABELS)] == [
        train.index(example) for example in train
    ]
    assert len(answered) == 100


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_labels_may_stand_in_any_order(task: Task) -> None:
    labels = [f"label {at}" for at in range(5)]
    train = [Example(f"第{at}句说的是{labels[at % 5]}", "", (labels[at % 5],)) for at in range(100)]
    answers = np.stack(linear_teacher(task, train, [], labels))
    assert answers.argmax(1).tolist() == [at % 5 for at in range(100)]


def test_two_rows_of_a_label_are_enough() -> None:
    rare = [Example("罕见", "", ("rare",)), Example("罕见的", "", ("rare",))]
    assert len(linear_teacher("single_label", [*_examples(20, 1), *rare], [], [*LABELS, "rare"])) == 22
    few = [*rare, Example("常见", "", ("common",)), Example("常见的", "", ("common",))]
    assert len(linear_teacher("single_label", few, [], ["common", "rare"])) == 4


def test_unlabelled_text_is_answered_by_a_model_of_all_rows() -> None:
    train, more = _examples(100, 1), [Example("味道很好，喜欢", "", ())]
    answers = linear_teacher("single_label", train, more, LABELS)
    assert len(answers) == 101
    whole = linear_logits(fit_linear("single_label", train, LABELS), "single_label", more, LABELS)
    np.testing.assert_array_equal(answers[100], whole[0])


def test_a_label_with_one_row_is_named() -> None:
    train = [*_examples(20, 1), Example("罕见", "", ("rare",))]
    with pytest.raises(UserError, match="label 'rare' has too few rows in train"):
        linear_teacher("single_label", train, [], [*LABELS, "rare"])
