"""Padding and cutting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runtime.batch import collate, layout_of, padded_tokens, split
from app.text.sequence import TokenSequence

PAD = 9
lengths = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def row(length: int, first: int = 100, positions: list[int] | None = None) -> TokenSequence:
    marks = None if positions is None else np.array(positions, np.int64)
    return TokenSequence(np.arange(first, first + length), None, marks)


@given(lengths)
def test_rows_stand_in_the_corner_and_the_rest_is_padding(sizes: list[int]) -> None:
    feeds = collate([row(size) for size in sizes], PAD)
    width = max(sizes)
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert feeds[name].dtype == np.int64
        assert feeds[name].shape == (len(sizes), width)
    for index, size in enumerate(sizes):
        assert feeds["input_ids"][index].tolist() == list(range(100, 100 + size)) + [PAD] * (width - size)
        assert feeds["attention_mask"][index].tolist() == [1] * size + [0] * (width - size)
    assert not feeds["token_type_ids"].any()
    assert "positions" not in feeds
    assert padded_tokens([row(size) for size in sizes]) == width * len(sizes)


@given(lengths)
def test_cutting_undoes_padding(sizes: list[int]) -> None:
    rows = [row(size, 100 * index) for index, size in enumerate(sizes)]
    grid = collate(rows, PAD)["input_ids"].astype(np.float32)
    cut = split({"logits": grid, "hidden": np.stack([grid, -grid], axis=2)}, rows, "tokens")
    for one, sequence in zip(cut, rows, strict=True):
        assert (one["logits"] == sequence.input_ids).all()
        assert one["hidden"].shape == (len(sequence), 2)
        assert (one["hidden"][:, 1] == -sequence.input_ids).all()


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5)), min_size=1, max_size=8))
def test_positions_point_at_the_same_tokens_after_padding(rows: list[tuple[int, int]]) -> None:
    chance = np.random.default_rng(0)
    sequences = [
        TokenSequence(np.arange(size) + 1000 * index, None, chance.integers(0, size, count))
        for index, (size, count) in enumerate(rows)
    ]
    feeds = collate(sequences, PAD)
    picked = feeds["input_ids"].reshape(-1)[feeds["positions"]].astype(np.float32)
    cut = split({"logits": picked[:, None]}, sequences, "positions")
    for one, sequence in zip(cut, sequences, strict=True):
        assert one["logits"][:, 0].tolist() == sequence.input_ids[sequence.positions].tolist()


def test_the_second_segment_is_kept() -> None:
    types = np.array([0, 0, 1])
    feeds = collate([row(5), TokenSequence(np.array([1, 2, 3]), types)], PAD)
    assert feeds["token_type_ids"].tolist() == [[0] * 5, [0, 0, 1, 0, 0]]


def test_a_batch_as_wide_as_there_are_labels_is_not_mistaken_for_tokens() -> None:
    rows = [row(2), row(1)]
    cut = split(
        {"logits": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)}, rows, layout_of("classify", "model")
    )
    assert [one["logits"].tolist() for one in cut] == [[1, 2], [3, 4]]
    assert layout_of("encode", "model") == "tokens"
    assert layout_of("encode", "generator") == "positions"


def test_what_cannot_be_a_batch() -> None:
    with pytest.raises(ValueError, match="at least one"):
        collate([], PAD)
    with pytest.raises(ValueError, match="positions"):
        collate([row(3, positions=[1]), row(3)], PAD)
