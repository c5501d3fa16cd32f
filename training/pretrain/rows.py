"""Which piece of which document goes into which row: documents packed back to back, none of their text
thrown away.

Each document stands in a row as ``[CLS] text [SEP]``. A document that does not fit is cut at the row's end
and goes on in the next row as ``[CLS] rest [SEP]``; a space too short to be worth a piece stays padding. The
order is a function of (seed, epoch, row length) alone, so a run can be resumed, on any number of processes,
at exactly the row where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from training.corpus.shards import Split, TokenShards
from training.errors import UserError

CLS, SEP, PADDING = -1, -2, -3
"""In the ids of a row, until a tokenizer's own are put in."""
SHORTEST_PIECE = 8  # tokens of text; a smaller rest of a row stays empty
_CLS_SEP = 2
_AT_ONCE = 1 << 14  # documents packed together


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
        self._loaded: tuple[int, Pieces] | None = None  # the epoch read last, and its number

    @property
    def epoch_rows(self) -> int:
        """Rows of the epoch read last; of the first one before that."""
        return self._load(self._loaded[0] if self._loaded else 0).rows

    def locate(self, row: int) -> tuple[int, int]:
        """Epoch and row within it of the ``row``-th row since the start."""
        while row >= self._starts[-1]:
            self._starts.append(self._starts[-1] + self._load(len(self._starts) - 1).rows)
        epoch = int(np.searchsorted(self._starts, row, side="right")) - 1
        return epoch, row - self._starts[epoch]

    def rows(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows ``start .. start + count`` of the endless stream, without special ids filled in.

        Returns:
            ids, segments, positions: int64 ``[count, length]``; ids hold ``CLS``, ``SEP`` and ``PADDING``.
        """
        shape = (count, self.length)
        ids = np.full(shape, PADDING, np.int64)
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
        flat[offset], flat[offset + sizes - 1] = CLS, SEP

    def _load(self, epoch: int) -> Pieces:
        loaded = self._loaded
        if loaded is None or loaded[0] != epoch:
            self._loaded = loaded = None  # two epochs at once would take twice the memory
            random = np.random.default_rng([self.seed, epoch, self.length])
            shard, start, size = self._documents
            order = _epoch_order(self.shards, shard, random)
            loaded = epoch, pack(shard[order], start[order], size[order], self.length)
            self._loaded = loaded
        return loaded[1]


def pack(shard: np.ndarray, start: np.ndarray, size: np.ndarray, length: int) -> Pieces:
    """Cut documents into pieces that fill rows of ``length`` tokens, in the order given.

    Beside its result it holds 17 bytes a document, and what a few thousand of them need on the way.
    """
    some = size > 0
    if not some.all():
        shard, start, size = shard[some], start[some], size[some]
    whole = length - _CLS_SEP  # the text of a row that is one piece
    first, begins = _first_pieces(size, length)
    more = -(-(size - first) // whole)  # pieces after the first, each at the beginning of a row
    later = int(more.sum())
    pieces, count = len(size) + later, int(begins.sum()) + later
    packed = Pieces(
        shard=np.empty(pieces, np.int64),
        start=np.empty(pieces, np.int64),
        length=np.empty(pieces, np.int64),
        first=np.empty(count + 1, np.int64),
    )
    piece = row = 0
    for part in _parts(len(size)):
        pieces = more[part] + 1
        document = np.repeat(np.arange(len(pieces)), pieces)
        leads = np.cumsum(pieces) - pieces  # where the first pieces stand
        number = np.arange(len(document)) - leads[document]
        own, taken = size[part][document], first[part][document]
        before = np.where(number > 0, taken + (number - 1) * whole, 0)
        begins_row = number > 0
        begins_row[leads] = begins[part]
        to = slice(piece, piece + len(document))
        packed.shard[to] = shard[part][document]
        packed.start[to] = start[part][document] + before
        packed.length[to] = np.where(number > 0, np.minimum(whole, own - before), taken)
        rows = np.flatnonzero(begins_row) + piece
        packed.first[row : row + len(rows)] = rows
        piece, row = to.stop, row + len(rows)
    packed.first[row] = piece
    return packed


def _first_pieces(size: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """For each document the tokens of its first piece, int64, and whether that piece begins a row, bool.

    Only this depends on the documents before, so only this is decided by a loop.
    """
    whole = length - _CLS_SEP
    shortest = min(SHORTEST_PIECE, whole)
    first, begins = np.empty(len(size), np.int64), np.empty(len(size), bool)
    free = whole  # tokens of text that the row still takes, as one piece; -2 when it is full
    for part in _parts(len(size)):
        # A list of Python's numbers costs 40 bytes each, so there is never one of all documents.
        found = []
        for left in size[part].tolist():
            found.append(free)
            if left > free:
                if free >= shortest:
                    left -= free
                left = left % whole or whole  # what the document's last row holds of it
                free = whole
            free -= left + _CLS_SEP
        room = np.array(found)
        begins[part] = (room == whole) | (room < np.minimum(size[part], shortest))
        first[part] = np.minimum(size[part], np.where(begins[part], whole, room))
    return first, begins


def _parts(documents: int) -> Iterator[slice]:
    """Slices that cover so many documents."""
    return (slice(at, min(at + _AT_ONCE, documents)) for at in range(0, documents, _AT_ONCE))


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
