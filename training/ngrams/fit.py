"""Fit the linear model over n-grams on train, and what it weighs beside the network on dev.

A network whose pretraining was short knows less of rare words than counting does, and counting nothing of
whole sentences: together they are better than either (wide and deep learning: Cheng et al. 2016). They are
fitted apart: a network that was trained on what the n-grams left unexplained learnt nothing
(docs/training.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from scipy import sparse
from scipy.optimize import minimize
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from training.ngrams.model import NgramClassifier
from training.ngrams.trie import Trie, build_trie

_PENALTY = 10.0  # C of scikit-learn, as for the baseline
_CERTAIN = 10.0  # log-odds of what was always so
_MEAN = np.array([0.5, 0.5])  # of network and n-grams, before dev says more
_CAUTION = 1.0  # what shares off the mean cost, in rows
_FEW_ROWS = 100  # below it, n-grams of one text only count too


def fit_ngrams(
    rows: Sequence[np.ndarray],
    targets: np.ndarray,
    *,
    vocabulary: int,
    special: Collection[int],
    longest: int,
    terms: int,
    class_weights: np.ndarray | None = None,
) -> NgramClassifier:
    """Fit on rows of token ids, int ``[tokens]`` each.

    Args:
        targets: int ``[rows]``, or bool ``[rows, labels]`` for several labels a row. Every label must occur.
        special: ids that are in no n-gram.
        longest: tokens of the longest n-gram.
        terms: n-grams kept, of those that two rows have: the ones that weigh most (see ``_heaviest``).
        class_weights: ``[labels]``, what a row of the label counts; for several labels a row, what a row that
            has the label counts against one that has not.

    Raises:
        ValueError: no n-gram at all (scikit-learn's own).
    """
    counter = CountVectorizer(
        analyzer=_analyzer(frozenset(special), longest), min_df=2 if len(rows) >= _FEW_ROWS else 1
    )
    counts = sparse.csr_matrix(counter.fit_transform(rows), dtype=np.float64)
    names = counter.get_feature_names_out()
    texts_with = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log((1 + len(rows)) / (1 + texts_with)) + 1
    row_weights = _row_weights(targets, class_weights)
    coefficients, bias = _logistic(_features(counts, idf), targets, row_weights)
    if len(names) > terms:
        kept = _heaviest(coefficients * idf, texts_with, terms)
        names, counts, idf = names[kept], counts[:, kept], idf[kept]
        coefficients, bias = _logistic(_features(counts, idf), targets, row_weights)
    names = [tuple(map(int, name)) for name in names]
    return _module(build_trie(names, vocabulary), names, coefficients * idf, idf**2, bias, longest)


def weigh(
    network: np.ndarray, ngrams: np.ndarray, targets: np.ndarray, class_weights: np.ndarray | None = None
) -> tuple[float, float]:
    """Factors, 0 or more, of two models' logits ``[rows, labels]`` whose sum has the least cross-entropy.

    ``targets`` and ``class_weights`` as for ``fit_ngrams``. This calibrates too: one factor alone is
    temperature scaling (Guo et al. 2017). A few rows that happen to be right would ask for factors without
    bound, so leaving the mean of both costs as much as a row or two.
    """
    losses = _several_losses if targets.ndim == 2 else _single_losses
    row_weights = _row_weights(targets, class_weights)
    found = minimize(
        lambda shares: (
            np.average(losses(shares[0] * network + shares[1] * ngrams, targets), weights=row_weights)
            + _CAUTION / len(targets) * np.square(shares - _MEAN).sum()
        ),
        x0=_MEAN,
        bounds=((0.0, 100.0), (0.0, 100.0)),
        method="L-BFGS-B",
    )
    return float(found.x[0]), float(found.x[1])


def _features(counts: sparse.csr_matrix, idf: np.ndarray) -> sparse.csr_matrix:
    """TF-IDF ``[rows, terms]`` of ``counts``, over the root of the summed squares (``NgramClassifier``)."""
    norms = np.sqrt(np.maximum(counts @ idf**2, 1e-6))
    return sparse.diags(1 / norms) @ counts @ sparse.diags(idf)


def _heaviest(weights: np.ndarray, texts_with: np.ndarray, terms: int) -> np.ndarray:
    """Indices of the ``terms`` n-grams that move the logits most, in order.

    An n-gram of ``weights [labels, terms]`` adds about its weight to the logits of each of the texts that
    hold it, so ``weights**2 * texts_with`` is what its absence would cost in squares. Of 470,000 n-grams of
    reviews the 50,000 heaviest classify as well as all (docs/training.md).
    """
    cost = (weights**2).max(axis=0) * texts_with
    return np.sort(np.argsort(-cost, kind="stable")[:terms])


def _analyzer(special: frozenset[int], longest: int) -> Callable[[np.ndarray], list[tuple[int, ...]]]:
    def analyze(row: np.ndarray) -> list[tuple[int, ...]]:
        ids = row.tolist()
        found = [
            tuple(ids[at : at + size]) for size in range(1, longest + 1) for at in range(len(ids) - size + 1)
        ]
        return [ngram for ngram in found if special.isdisjoint(ngram)]

    return analyze


def _row_weights(targets: np.ndarray, class_weights: np.ndarray | None) -> np.ndarray | None:
    """What each row counts, ``[rows]``, or ``[rows, labels]`` for several labels a row."""
    if class_weights is None:
        return None
    return np.where(targets, class_weights, 1.0) if targets.ndim == 2 else class_weights[targets]


def _logistic(
    features: sparse.csr_matrix, targets: np.ndarray, row_weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients ``[labels, terms]`` and bias ``[labels]``."""
    model = LogisticRegression(C=_PENALTY, max_iter=1000)
    if targets.ndim == 2:
        columns = [None] * targets.shape[1] if row_weights is None else row_weights.T
        parts = [
            _one_label(model, features, target, weights)
            for target, weights in zip(targets.T, columns, strict=True)
        ]
        return np.vstack([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    model.fit(features, targets, row_weights)
    if len(model.classes_) == 2:  # scikit-learn keeps the second label's only
        return np.vstack([-model.coef_, model.coef_]) / 2, np.concatenate(
            [-model.intercept_, model.intercept_]
        ) / 2
    return model.coef_, model.intercept_


def _one_label(
    model: LogisticRegression,
    features: sparse.csr_matrix,
    target: np.ndarray,
    weights: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients ``[1, terms]`` and bias ``[1]``; of a label that all rows or none have, the bias alone."""
    if target.all() or not target.any():
        return np.zeros((1, features.shape[1])), np.array([_CERTAIN if target.all() else -_CERTAIN])
    model.fit(features, target, weights)
    return model.coef_, model.intercept_


def _module(
    trie: Trie,
    names: Sequence[tuple[int, ...]],
    weights: np.ndarray,
    squares: np.ndarray,
    bias: np.ndarray,
    longest: int,
) -> NgramClassifier:
    slots = np.array([trie.states[name] for name in names])
    weight_scale = np.maximum(np.abs(weights).max(axis=1), 1e-6) / 127
    square_scale = squares.max() / 255
    whole = np.zeros((len(trie.base), len(bias)), np.int8)
    whole[slots] = np.round(weights / weight_scale[:, None]).T
    whole_squares = np.zeros(len(trie.base), np.uint8)
    whole_squares[slots] = np.maximum(np.round(squares / square_scale), 1)
    return NgramClassifier(
        {
            "base": torch.from_numpy(trie.base),
            "check": torch.from_numpy(trie.check),
            "weights": torch.from_numpy(whole),
            "weight_scale": torch.from_numpy(weight_scale.astype(np.float32)),
            "squares": torch.from_numpy(whole_squares),
            "square_scale": torch.tensor(square_scale, dtype=torch.float32),
            "bias": torch.from_numpy(bias.astype(np.float32)),
            "shares": torch.tensor([1.0, 1.0]),
            "longest": torch.tensor(longest),
        }
    )


def _single_losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    normaliser = np.log(np.exp(shifted).sum(axis=1))
    return np.asarray(normaliser - shifted[np.arange(len(targets)), targets])


def _several_losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.asarray(np.logaddexp(0, logits) - logits * targets)
