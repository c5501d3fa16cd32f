"""Packing loses nothing, repeats nothing, and is a function of seed and epoch alone."""

import tracemalloc
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.corpus.shards import TokenShards
from training.errors import UserError
from training.pretrain.rows import SHORTEST_PIECE, RowSource, pack


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(16, 128))
def test_every_token_stands_in_exactly_one_row(sizes: list[int], length: int) -> None:
    size = np.array(sizes)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    pieces = pack(np.zeros(len(size), np.int64), start, size, length)
    covered = np.concatenate([np.arange(s, s + n) for s, n in zip(pieces.start, pieces.length, strict=True)])
    assert sorted(covered.tolist()) == list(range(int(size.sum())))
    for row in range(pieces.rows):
        inside = pieces.length[pieces.first[row] : pieces.first[row + 1]]
        assert len(inside) > 0
        filled = int(inside.sum()) + 2 * len(inside)
        assert filled <= length
        # Only the last row may be emptier than what a piece is worth.
        assert row == pieces.rows - 1 or length - filled < SHORTEST_PIECE + 2


@given(st.lists(st.integers(0, 90), max_size=60), st.integers(8, 40), st.sampled_from([1, 7, 60]))
def test_pieces_are_those_of_a_plain_loop(sizes: list[int], length: int, at_once: int) -> None:
    expected, first, room = [], [0], length
    shortest = min(SHORTEST_PIECE, length - 2)
    for document, left in enumerate(sizes):
        begin = 100 * document
        while left > 0:
            if room < length and room - 2 < min(left, shortest):
                first.append(len(expected))
                room = length
            take = min(left, room - 2)
            expected.append((document, begin, take))
            begin, left, room = begin + take, left - take, room - take - 2
    first += [len(expected)] if expected else []
    numbers = np.arange(len(sizes))
    # Documents are packed some at a time; where one lot ends and the next begins must not matter.
    with mock.patch("training.pretrain.rows._AT_ONCE", at_once):
        pieces = pack(numbers, 100 * numbers, np.array(sizes, np.int64), length)
    assert {array.dtype for array in (pieces.shard, pieces.start, pieces.length, pieces.first)} == {
        np.dtype(np.int64)
    }
    found = zip(pieces.shard.tolist(), pieces.start.tolist(), pieces.length.tolist(), strict=True)
    assert list(found) == expected
    assert pieces.first.tolist() == first


def pack_by_lists(size: np.ndarray, length: int) -> tuple[list[int], list[bool]]:
    """Tokens of each document's first piece, and whether it begins a row: decided one by one."""
    whole = length - 2
    shortest = min(SHORTEST_PIECE, whole)
    taken, anew, room = [], [], length
    for left in size.tolist():
        available = room - 2
        begins = room == length or available < min(left, shortest)
        if begins:
            room, available = length, whole
        if left <= available:
            taken.append(left)
            room -= left + 2
        else:
            taken.append(available)
            rest = (left - available) % whole
            room = length - rest - 2 if rest else 0
        anew.append(begins)
    return taken, anew


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(0, 40_000),
    st.integers(8, 600),
    st.sampled_from([1.5, 3.0, 4.5, 6.0]),
)
def test_many_documents_of_any_sizes_are_packed_as_one_by_one(
    seed: int, documents: int, length: int, mean: float
) -> None:
    size = np.random.default_rng(seed).lognormal(mean, 1.0, documents).astype(np.int64)
    start = np.cumsum(size) - size
    pieces = pack(np.arange(documents) % 7, start, size, length)
    kept = size > 0
    taken, anew = pack_by_lists(size[kept], length)
    leads = np.flatnonzero(np.isin(pieces.start, start[kept]))  # where a document begins
    assert pieces.length[leads].tolist() == taken
    assert np.isin(leads, pieces.first[:-1]).tolist() == anew
    assert pieces.shard[leads].tolist() == (np.arange(documents) % 7)[kept].tolist()
    # Every later piece goes on where the one before ended, at the beginning of a row.
    later = np.setdiff1d(np.arange(len(pieces.start)), leads)
    assert np.array_equal(pieces.start[later], (pieces.start + pieces.length)[later - 1])
    assert np.isin(later, pieces.first[:-1]).all()
    assert pieces.first[-1] == len(pieces.start)
    assert int(pieces.length.sum()) == int(size.sum())


def test_packing_needs_few_bytes_a_document_beside_its_result() -> None:
    """Lists of Python's numbers, one an entry, would take a hundred."""
    documents = 200_000
    size = np.random.default_rng(0).lognormal(4.5, 0.8, documents).astype(np.int64) + 1
    arguments = np.zeros(documents, np.int64), np.cumsum(size) - size, size
    tracemalloc.start()
    pieces = pack(*arguments, 128)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    result = sum(array.nbytes for array in (pieces.shard, pieces.start, pieces.length, pieces.first))
    # 17 for what the loop decides, a byte for `size > 0`, and some 4 MB for a lot on its way.
    assert peak - result < 20 * documents + 4_000_000


def test_rows_hold_whole_pieces_between_cls_and_sep(prepared: Path) -> None:
    source = RowSource(TokenShards(prepared / "shards"), "train", 32, seed=0)
    ids, segments, positions = source.rows(0, 20)
    assert ((ids == -3) == (segments == 0)).all()
    for row in range(20):
        for number in range(1, segments[row].max() + 1):
            where = np.flatnonzero(segments[row] == number)
            assert ids[row, where[0]] == -1
            assert ids[row, where[-1]] == -2
            assert (ids[row, where[1:-1]] >= 5).all()
            assert positions[row, where].tolist() == list(range(len(where)))


def test_one_epoch_shows_every_training_token_once(prepared: Path) -> None:
    shards = TokenShards(prepared / "shards")
    source = RowSource(shards, "train", 32, seed=0)
    rows = source.epoch_rows
    ids, _, _ = source.rows(0, rows)
    shown = np.sort(ids[ids >= 0])
    stored = np.sort(np.concatenate([shards.read(handle) for handle in shards.documents("train")]))
    assert np.array_equal(shown, stored)


def test_order_depends_on_seed_and_epoch_alone(prepared: Path) -> None:
    shards = TokenShards(prepared / "shards")
    one, again = RowSource(shards, "train", 32, 0), RowSource(shards, "train", 32, 0)
    far = one.epoch_rows + 3  # in the second epoch
    assert np.array_equal(one.rows(far, 4)[0], again.rows(far, 4)[0])
    assert np.array_equal(one.rows(0, 4)[0], again.rows(0, 4)[0])  # and back
    assert not np.array_equal(one.rows(0, 4)[0], RowSource(shards, "train", 32, 1).rows(0, 4)[0])
    assert not np.array_equal(one.rows(0, 4)[0], one.rows(one.epoch_rows, 4)[0])


def test_one_call_may_cross_the_end_of_epochs(prepared: Path) -> None:
    source = RowSource(TokenShards(prepared / "shards"), "train", 32, seed=0)
    start, count = source.epoch_rows - 3, source.epoch_rows + 7  # the end of one, a whole one, a beginning
    together = source.rows(start, count)
    singly = [source.rows(start + row, 1) for row in range(count)]
    for part, rows in enumerate(zip(*singly, strict=True)):
        assert np.array_equal(together[part], np.concatenate(rows))


def test_weights_say_how_often_a_source_is_shown(prepared: Path) -> None:
    shards = TokenShards(prepared / "shards")
    single = RowSource(shards, "train", 32, 0).epoch_rows
    shards.weights = dict.fromkeys(shards.weights, 2.5)
    assert RowSource(shards, "train", 32, 0).epoch_rows == pytest.approx(2.5 * single, rel=0.1)


def test_no_documents_is_said(prepared: Path) -> None:
    shards = TokenShards(prepared / "shards")
    shards.all_shards = []
    with pytest.raises(UserError, match="no heldout documents"):
        RowSource(shards, "heldout", 32, 0)
