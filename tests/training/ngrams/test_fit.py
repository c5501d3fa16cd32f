"""The fit against scikit-learn's own TF-IDF and logistic regression, and the factors on dev."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from training.ngrams.fit import fit_ngrams, weigh

LETTERS = "abcdefgh"


def rows_of(texts: list[str]) -> list[np.ndarray]:
    return [np.array([1, *(LETTERS.index(letter) + 3 for letter in text), 2]) for text in texts]


def different_letters(count: int, seed: int) -> list[str]:
    """Texts without a repeated letter: their counts are 1, where our norm is scikit-learn's."""
    generator = np.random.default_rng(seed)
    return ["".join(generator.permutation(list(LETTERS))[:5]) for _ in range(count)]


@pytest.mark.parametrize("labels", [2, 3])
def test_as_scikit_learn_up_to_eight_bits(labels: int) -> None:
    texts, asked = different_letters(400, 0), different_letters(50, 1)
    targets = np.array([(ord(text[0]) + 2 * ord(text[1])) % labels for text in texts])
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), min_df=2)
    truth = LogisticRegression(C=10.0, max_iter=1000).fit(vectorizer.fit_transform(texts), targets)
    model = fit_ngrams(rows_of(texts), targets, vocabulary=12, special=(0, 1, 2), longest=2, terms=1000)
    assert model.terms == len(vectorizer.vocabulary_)
    ours = torch.softmax(model(torch.tensor(np.stack(rows_of(asked)))), dim=1).numpy()
    np.testing.assert_allclose(ours, truth.predict_proba(vectorizer.transform(asked)), atol=0.03)


def test_several_labels_a_row_and_one_that_all_have() -> None:
    texts = different_letters(300, 2)
    targets = np.array([["a" in text, "b" in text, True, False] for text in texts])
    model = fit_ngrams(rows_of(texts), targets, vocabulary=12, special=(0, 1, 2), longest=1, terms=100)
    decided = model(torch.tensor(np.stack(rows_of(texts)))).numpy() > 0
    assert (decided == targets).mean() > 0.99


def test_the_n_grams_that_decide_are_kept_not_the_frequent_ones() -> None:
    texts = ["ab"] * 60 + ["ac"] * 50 + ["ad"] * 3
    targets = np.array([0] * 60 + [1] * 50 + [1] * 3)
    model = fit_ngrams(rows_of(texts), targets, vocabulary=12, special=(0, 1, 2), longest=1, terms=2)
    assert model.terms == 2
    assert model.squares[[4, 5]].bool().all()  # b and c, not a of all texts nor d of three
    assert (model(torch.tensor(np.stack(rows_of(texts[:110])))).argmax(1).numpy() == targets[:110]).all()


def test_an_n_gram_of_a_single_row_counts_only_where_rows_are_few() -> None:
    for count, known in ((99, False), (50, True)):
        texts = [*different_letters(count, 8), "abcde"]
        rows = rows_of(texts)
        rows[-1][1] = 11  # no other row has it
        targets = np.arange(len(rows)) % 2
        model = fit_ngrams(rows, targets, vocabulary=12, special=(0, 1, 2), longest=1, terms=99)
        assert bool(model.squares[11]) is known


@pytest.mark.parametrize("several", [False, True])
def test_factors(several: bool) -> None:
    generator = np.random.default_rng(3)
    true = generator.normal(size=(20_000, 3))
    if several:
        targets = generator.random(true.shape) < 1 / (1 + np.exp(-true))
    else:
        targets = (true + generator.gumbel(size=true.shape)).argmax(axis=1)
    half = generator.normal(size=true.shape)
    network, ngrams = 3 * (true - half), half / 2  # true = network / 3 + 2 * ngrams
    assert weigh(network, ngrams, targets) == pytest.approx((1 / 3, 2), rel=0.1)
    noise = generator.normal(size=true.shape)
    _, share = weigh(true, noise, targets)
    assert 0 <= share < 0.05


@pytest.mark.parametrize("rows", [4, 10, 30])
def test_a_few_rows_that_happen_to_be_right_do_not_make_it_certain(rows: int) -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, rows)
    logits = np.eye(2)[targets] * generator.uniform(0.5, 2.0, (rows, 1))
    shares = weigh(logits, logits, targets)
    assert 0.5 < shares[0] < 3
    assert shares[0] == pytest.approx(shares[1], rel=0.05)


def test_weighted_classes_as_scikit_learn() -> None:
    texts, asked = different_letters(400, 4), different_letters(50, 5)
    targets = np.array([int(text[0] in "ab") for text in texts])
    vectorizer = TfidfVectorizer(analyzer="char", min_df=2)
    truth = LogisticRegression(C=10.0, max_iter=1000, class_weight={0: 0.5, 1: 3.0})
    truth.fit(vectorizer.fit_transform(texts), targets)
    weights = np.array([0.5, 3.0])
    model = fit_ngrams(
        rows_of(texts), targets, vocabulary=12, special=(0, 1, 2), longest=1, terms=99, class_weights=weights
    )
    ours = torch.softmax(model(torch.tensor(np.stack(rows_of(asked)))), dim=1).numpy()
    np.testing.assert_allclose(ours, truth.predict_proba(vectorizer.transform(asked)), atol=0.03)


def test_weighted_labels_of_which_a_row_has_several() -> None:
    texts = different_letters(400, 6)
    targets = np.array([[text[0] == "a", "b" in text] for text in texts])

    def found(weights: list[float]) -> np.ndarray:
        model = fit_ngrams(
            rows_of(texts),
            targets,
            vocabulary=12,
            special=(0, 1, 2),
            longest=1,
            terms=99,
            class_weights=np.array(weights),
        )
        return model(torch.tensor(np.stack(rows_of(texts)))).numpy() > 0

    even, rare = found([1.0, 1.0]), found([7.0, 1.0])
    assert rare[targets[:, 0], 0].mean() > even[targets[:, 0], 0].mean() + 0.3
    assert (rare[:, 1] == even[:, 1]).all()  # the other label's weight is its own


@pytest.mark.parametrize("several", [False, True])
def test_factors_heed_the_weights_of_classes(several: bool) -> None:
    """Each of two models knows one label alone: the heavier label's model gets the larger factor."""
    generator = np.random.default_rng(7)
    targets = generator.integers(0, 2, 4000)
    told = np.where(generator.random(4000) < 0.7, targets, 1 - targets)
    one, other = np.zeros((4000, 2)), np.zeros((4000, 2))
    one[:, 0], other[:, 1] = told == 0, told == 1
    wanted = np.eye(2, dtype=bool)[targets] if several else targets
    even = weigh(one, other, wanted)
    first = weigh(one, other, wanted, np.array([20.0, 1.0]))
    second = weigh(one, other, wanted, np.array([1.0, 20.0]))
    assert even[0] == pytest.approx(even[1], rel=0.2)
    assert first[0] > first[1] + 0.5
    assert second[1] > second[0] + 0.5
