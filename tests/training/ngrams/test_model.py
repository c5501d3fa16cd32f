"""The module against counting with a dictionary, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import UserError
from training.ngrams.fit import fit_ngrams
from training.ngrams.model import FILE_NAME, NgramClassifier, load_ngrams

CLS, SEP, PAD, VOCABULARY = 1, 2, 0, 12
ROWS = st.lists(st.integers(3, VOCABULARY - 1), max_size=9)


@pytest.fixture(scope="module")
def model() -> NgramClassifier:
    generator = np.random.default_rng(1)
    rows = [np.array([CLS, *generator.integers(3, VOCABULARY, size=8), SEP]) for _ in range(150)]
    targets = np.array([int(row[1] > 6) + int(row[2] > 9) for row in rows])
    return fit_ngrams(rows, targets, vocabulary=VOCABULARY, special=(CLS, SEP, PAD), longest=3, terms=200)


def by_hand(model: NgramClassifier, pieces: list[list[int]]) -> np.ndarray:
    """Logits of the texts ``pieces`` of one row, n-gram by n-gram, with paths followed in plain Python."""
    votes, squares = np.zeros(3), 0.0
    base, check = model.base.tolist(), model.check.tolist()
    for ids in pieces:
        for start in range(len(ids)):
            state = ids[start]
            for length in (1, 2, 3):
                if length > 1:
                    if start + length > len(ids):
                        break
                    slot = base[state] + ids[start + length - 1]
                    if check[slot] != state:
                        break
                    state = slot
                votes += model.weights[state].numpy() * model.weight_scale.numpy()
                squares += float(model.squares[state]) * float(model.square_scale)
    return votes / np.sqrt(max(squares, 1e-6)) + model.bias.numpy()


@settings(max_examples=100, deadline=None)
@given(ROWS, ROWS, st.integers(0, 5))
def test_votes(model: NgramClassifier, first: list[int], second: list[int], padding: int) -> None:
    row = torch.tensor([[CLS, *first, SEP, *second, SEP, *[PAD] * padding]])
    torch.testing.assert_close(
        model(row)[0].double(), torch.from_numpy(by_hand(model, [first, second])), atol=1e-5, rtol=1e-5
    )


def test_a_row_shorter_than_an_ngram(model: NgramClassifier) -> None:
    for row in ([CLS], [5], [CLS, SEP], [CLS, 5, SEP]):
        expected = by_hand(model, [[token for token in row if token > SEP]])
        np.testing.assert_allclose(model(torch.tensor([row]))[0].numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(model(torch.tensor([[CLS, SEP]]))[0].numpy(), model.bias.numpy(), atol=1e-6)


def test_shares(model: NgramClassifier) -> None:
    ids, network = torch.tensor([[CLS, 5, 7, SEP]]), torch.tensor([[1.0, 2.0, 3.0]])
    weighed = NgramClassifier(model.state_dict() | {"shares": torch.tensor([0.5, 2.0])})
    torch.testing.assert_close(weighed.join(network, ids), 0.5 * network + 2 * model(ids))


def test_file(model: NgramClassifier, tmp_path: Path) -> None:
    assert load_ngrams(tmp_path, 3) is None
    model.save(tmp_path)
    loaded = load_ngrams(tmp_path, 3)
    assert loaded is not None
    ids = torch.tensor([[CLS, 5, 7, 9, SEP]])
    assert torch.equal(loaded(ids), model(ids))
    assert loaded.terms == model.terms > 100
    with pytest.raises(UserError, match="has 3 labels, the network 4; fine-tune again, or delete it"):
        load_ngrams(tmp_path, 4)
    (tmp_path / FILE_NAME).write_bytes(b"torn")
    with pytest.raises(UserError, match=f"{FILE_NAME}: cannot be read"):
        load_ngrams(tmp_path, 3)
