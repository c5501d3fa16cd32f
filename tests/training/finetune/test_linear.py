"""The linear teacher answers like scikit-learn's own model, and never of rows that it was fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from training.baselines import TfidfLogistic
from training.errors import UserError
from training.finetune.dry_run import reviews
from training.finetune.linear import fit_linear, linear_logits, linear_teacher
from training.tables import Example

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


def test_no_row_is_answered_by_a_model_that_knows_it() -> None:
    train = _examples(100, 1)
    wrong = 7
    lie = "negative" if train[wrong].label == "positive" else "positive"
    lied = [*train[:wrong], Example(train[wrong].text, "", (lie,)), *train[wrong + 1 :]]
    honest, deceived = (linear_teacher("single_label", rows, [], LABELS) for rows in (train, lied))
    np.testing.assert_array_equal(honest[wrong], deceived[wrong])
    assert not np.array_equal(honest[wrong + 1], deceived[wrong + 1])


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
