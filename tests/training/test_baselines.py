"""The baselines against scikit-learn's own, and against what they must be able to learn."""

from __future__ import annotations

import numpy as np
from sklearn.dummy import DummyClassifier

from training.baselines import Majority, TfidfLogistic

TEXTS = [f"{word}{at}" for at in range(12) for word in ("味道很好", "味道很差", "还行吧")]
LABELS = ["good", "bad", "fair"] * 12


def test_majority_equals_scikit_learn() -> None:
    labels = ["b", "a", "b", "c"]
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((4, 1)), labels)
    majority = Majority.fit(labels)
    assert majority.predict(2) == list(dummy.predict(np.zeros((2, 1))))
    np.testing.assert_allclose(majority.probabilities(2), dummy.predict_proba(np.zeros((2, 1))))


def test_tfidf_learns_words_and_names_its_columns() -> None:
    model = TfidfLogistic.fit(TEXTS, LABELS)
    assert model.predict(["味道很差99", "味道很好99", "还行吧"]) == ["bad", "good", "fair"]
    shares = model.probabilities(TEXTS)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert [model.labels[at] for at in shares.argmax(1)] == LABELS


def test_the_second_text_counts() -> None:
    firsts = ["同一句"] * 36
    model = TfidfLogistic.fit(firsts, LABELS, TEXTS)
    assert model.predict(["同一句"] * 2, ["味道很差", "还行吧"]) == ["bad", "fair"]


def test_several_labels_each_with_its_own_regression() -> None:
    texts = ["甜", "咸", "甜咸", "淡"] * 10
    rows = [("sweet",), ("salty",), ("sweet", "salty"), ()] * 10
    model = TfidfLogistic.fit_multi_label(texts, rows, ["salty", "sweet"])
    assert (model.probabilities(["甜", "咸", "甜咸", "淡"]) > 0.5).tolist() == [
        [False, True],
        [True, False],
        [True, True],
        [False, False],
    ]


ENGLISH = [f"the {word} meal {at}" for at in range(12) for word in ("good", "bad", "plain")]


def test_words_of_english_characters_of_chinese_and_both_of_a_mixture() -> None:
    def terms(texts: list[str]) -> set[str]:
        return set(TfidfLogistic.fit(texts, (LABELS * 2)[: len(texts)]).vectorizer.get_feature_names_out())

    english, chinese, mixed = terms(ENGLISH), terms(TEXTS), terms([*TEXTS, *ENGLISH])
    assert {"good", "good meal"} <= english
    assert "oo" not in english
    assert {"味道很", "差"} <= chinese
    assert "味道很好0" not in chinese
    assert {"characters__味道很", "words__good meal"} <= mixed


def test_one_foreign_text_changes_nothing() -> None:
    model = TfidfLogistic.fit([*TEXTS, "a good meal"], [*LABELS, "good"])
    assert "good meal" not in model.vectorizer.get_feature_names_out()


def test_texts_without_words_or_repetition_still_fit() -> None:
    digits = TfidfLogistic.fit([str(at % 10) for at in range(200)], ["even", "odd"] * 100)
    assert digits.predict(["3", "4"]) == ["odd", "even"]
    # Two hundred texts, no word twice.
    single = TfidfLogistic.fit([f"word{at:03d}" for at in range(200)], ["a", "b"] * 100)
    assert "word000" in single.vectorizer.get_feature_names_out()


def test_no_pair_of_words_reaches_across_two_texts() -> None:
    model = TfidfLogistic.fit(
        [text + " end" for text in ENGLISH], LABELS, ["begin " + text for text in ENGLISH]
    )
    terms = set(model.vectorizer.get_feature_names_out())
    assert {"end", "begin", "begin the"} <= terms
    assert "end begin" not in terms
