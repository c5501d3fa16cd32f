"""Which piece of which document goes into which row: documents packed back to back, none of their text
thrown away.

Each document stands in a row as ``[CLS] text [SEP]``. A document that does not fit is cut at the row's end
and goes on in the next row as ``[CLS] rest [SEP]``; a space too short to be worth a piece stays padding. The
order is a function of (seed, epoch, row length) alone, so a run can be resumed, on any number of processes,
at exactly the row where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.corpus.shards import Split, TokenShards
from training.errors import UserError

SHORTEST_PIECE = 8  # tokens of text; a smaller rest of a row stays empty
_CLS_SEP = 2


@dataclass(frozen=True)
class Pieces:
    """Pieces of documents in row order: parallel int64 arrays ``[pieces]``, and ``first [rows + 1]``.

    Piece ``p`` of row ``r`` is in ``first[r] <= p < first[r + 1]``: ``length[p]`` tokens of shard
    ``shard[p]`` from ``start[p]`` on.
    """

    shard: np.ndarray
    start: np.ndarray
    length: np.ndarray
    first: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.first) - 1


class RowSource:
    """The rows of one split at one row length, epoch by epoch."""

    def __init__(self, shards: TokenShards, split: Split, length: int, seed: int) -> None:
        self.shards, self.split, self.length, self.seed = shards, split, length, seed
        self._documents = _document_table(shards, split)
        if not len(self._documents[0]):
            raise UserError(
                f"{shards.directory}: no {split} documents; use more text, or a larger "
                "corpus.held_out for heldout"
            )
        self._starts = [0]  # rows before each epoch
        self._epoch = -1
        self._pieces: Pieces | None = None

    @property
    def epoch_rows(self) -> int:
        """Rows of the epoch read last; of the first one before that."""
        return self._load(max(self._epoch, 0)).rows

    def locate(self, row: int) -> tuple[int, int]:
        """Epoch and row within it of the ``row``-th row since the start."""
        while row >= self._starts[-1]:
            self._starts.append(self._starts[-1] + self._load(len(self._starts) - 1).rows)
        epoch = int(np.searchsorted(self._starts, row, side="right")) - 1
        return epoch, row - self._starts[epoch]

    def rows(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows ``start .. start + count`` of the endless stream, without special ids filled in.

        Returns:
            ids, segments, positions: int64 ``[count, length]``; ids is -1 for [CLS], -2 for [SEP], -3 for
                padding.
        """
        shape = (count, self.length)
        ids = np.full(shape, -3, np.int64)
        segments, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        done = 0
        while done < count:
            epoch, row = self.locate(start + done)
            pieces = self._load(epoch)
            rows = min(count - done, pieces.rows - row)
            part = slice(done, done + rows)
            self._fill(pieces, row, ids[part], segments[part], positions[part])
            done += rows
        return ids, segments, positions

    def _fill(
        self, pieces: Pieces, row: int, ids: np.ndarray, segments: np.ndarray, positions: np.ndarray
    ) -> None:
        """Write the rows of one epoch from ``row`` on into ``[rows, length]`` arrays."""
        first = pieces.first[row : row + len(ids) + 1]
        begin, end = int(first[0]), int(first[-1])
        taken = pieces.length[begin:end]
        sizes = taken + _CLS_SEP
        # Pieces lie back to back in the flat batch, but for the padding at the end of each row.
        row_of = np.repeat(np.arange(len(ids)), np.diff(first))
        before = np.cumsum(sizes) - sizes
        offset = before - before[first[:-1] - begin][row_of] + row_of * self.length
        within = np.arange(int(sizes.sum())) - np.repeat(before, sizes)
        at = np.repeat(offset, sizes) + within
        positions.reshape(-1)[at] = within
        number = np.arange(begin, end) - first[:-1][row_of] + 1
        segments.reshape(-1)[at] = np.repeat(number, sizes)
        flat = ids.reshape(-1)
        shards = self.shards.all_shards
        texts = [
            shards[shard].ids[start : start + size]
            for shard, start, size in zip(
                pieces.shard[begin:end].tolist(),
                pieces.start[begin:end].tolist(),
                taken.tolist(),
                strict=True,
            )
        ]
        inside = (within > 0) & (within < np.repeat(sizes, sizes) - 1)
        flat[at[inside]] = np.concatenate(texts)
        flat[offset], flat[offset + sizes - 1] = -1, -2

    def _load(self, epoch: int) -> Pieces:
        if self._pieces is None or epoch != self._epoch:
            random = np.random.default_rng([self.seed, epoch, self.length])
            shard, start, size = self._documents
            order = _epoch_order(self.shards, shard, random)
            self._pieces, self._epoch = pack(shard[order], start[order], size[order], self.length), epoch
        return self._pieces


def pack(shard: np.ndarray, start: np.ndarray, size: np.ndarray, length: int) -> Pieces:
    """Cut documents into pieces that fill rows of ``length`` tokens, in the order given.

    Only the first piece of a document depends on the documents before it, so only that one is decided by a
    loop.
    """
    some = size > 0
    shard, start, size = shard[some], start[some], size[some]
    whole = length - _CLS_SEP  # the text of a row that is one piece
    shortest = min(SHORTEST_PIECE, whole)
    taken: list[int] = []
    anew: list[bool] = []  # whether the document begins a row
    room = length
    for left in size.tolist():
        available = room - _CLS_SEP
        begins = room == length or available < (left if left < shortest else shortest)
        if begins:
            room, available = length, whole
        if left <= available:
            taken.append(left)
            room -= left + _CLS_SEP
        else:
            taken.append(available)
            rest = (left - available) % whole
            room = length - rest - _CLS_SEP if rest else 0
        anew.append(begins)
    first = np.asarray(taken, np.int64)
    more = -(-(size - first) // whole)  # pieces after the first, each at the beginning of a row
    document = np.repeat(np.arange(len(size)), more + 1)
    leads = np.cumsum(more + 1) - more - 1  # where the first pieces stand
    number = np.arange(len(document)) - leads[document]
    before = np.where(number > 0, first[document] + (number - 1) * whole, 0)
    taken_by = np.where(number > 0, np.minimum(whole, size[document] - before), first[document])
    begins_row = number > 0
    begins_row[leads] = anew
    return Pieces(
        shard[document],
        start[document] + before,
        taken_by,
        np.append(np.flatnonzero(begins_row), len(document)) if len(document) else np.zeros(1, np.int64),
    )


def _document_table(shards: TokenShards, split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers, starts, sizes = [], [], []
    for number, shard in enumerate(shards.all_shards):
        if shard.split == split and shard.documents:
            numbers.append(np.full(shard.documents, number, np.int64))
            starts.append(np.asarray(shard.starts[:-1], np.int64))
            sizes.append(np.asarray(shard.lengths, np.int64))
    if not numbers:
        return (np.zeros(0, np.int64),) * 3
    return np.concatenate(numbers), np.concatenate(starts), np.concatenate(sizes)


def _epoch_order(shards: TokenShards, shard: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Document numbers of one epoch in random order; a source of weight 2.5 comes two or three times."""
    weights = np.array([shards.weights[s.source] for s in shards.all_shards])[shard]
    copies = np.floor(weights).astype(np.int64)
    copies += random.random(len(shard)) < weights - copies
    order = np.repeat(np.arange(len(shard)), copies)
    random.shuffle(order)
    return order
