"""From rows to masked batches: everything random is drawn from (seed, step), for the whole batch, on every
process.

So a batch is the same whoever makes it: one process or eight, before or after a resume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from app.bundle import SpecialTokens
from training.electra.losses import Batch
from training.electra.masking import choose_masked
from training.pretrain.rows import CLS, PADDING, SEP, RowSource
from training.pretrain.words import WordFinder


@dataclass(frozen=True)
class BatchMaker:
    """Makes the batch of any step."""

    source: RowSource
    special: SpecialTokens
    rate: float
    maximum: int
    seed: int
    words: WordFinder | None = None

    def make(self, step: int, start_row: int, rows: int, rank: int = 0, world: int = 1) -> Batch:
        """Rows ``start_row .. start_row + rows`` of the stream, masked; of these, every ``world``-th from
        ``rank`` on.
        """
        ids, segments, positions = self.source.rows(start_row, rows)
        for code, token in ((CLS, self.special.cls), (SEP, self.special.sep), (PADDING, self.special.pad)):
            ids[ids == code] = token
        specials = (self.special.cls, self.special.sep, self.special.pad, self.special.mask)
        maskable = (segments > 0) & ~np.isin(ids, specials)
        words = self.words.find(ids, segments) if self.words else None
        random = np.random.default_rng([self.seed, step, self.source.length])
        chosen = choose_masked(maskable, (segments > 0).sum(1), self.rate, self.maximum, random, words)
        mine = slice(rank, None, world)
        ids, segments, positions = ids[mine], segments[mine], positions[mine]
        offsets = np.arange(len(ids))[:, None] * self.source.length
        return Batch(
            ids=torch.from_numpy(np.ascontiguousarray(ids)),
            segments=torch.from_numpy(np.ascontiguousarray(segments)),
            positions=torch.from_numpy(np.ascontiguousarray(positions)),
            masked=torch.from_numpy((chosen.positions[mine] + offsets).reshape(-1)),
            masked_weights=torch.from_numpy(chosen.weights[mine].reshape(-1).copy()),
            masked_keep=torch.from_numpy(chosen.keep[mine].reshape(-1).copy()),
            uniforms=torch.from_numpy(chosen.uniforms[mine].reshape(-1).astype(np.float32)),
            packed=bool((segments != 1).any()),
        )


def split_rows(batch: Batch, micro_rows: int) -> Iterator[Batch]:
    """Cut a batch into pieces of ``micro_rows`` rows for accumulation; 0 leaves it whole."""
    rows, length = batch.ids.shape
    if micro_rows <= 0 or micro_rows >= rows:
        yield batch
        return
    per_row = len(batch.masked) // rows
    for start in range(0, rows, micro_rows):
        end = min(rows, start + micro_rows)
        entries = slice(start * per_row, end * per_row)
        yield Batch(
            batch.ids[start:end],
            batch.segments[start:end],
            batch.positions[start:end],
            batch.masked[entries] - start * length,
            batch.masked_weights[entries],
            batch.masked_keep[entries],
            batch.uniforms[entries],
            batch.packed,
        )


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on ``device``; the copy from pinned memory does not wait."""
    if device.type == "cpu":
        return batch
    moved = {
        name: getattr(batch, name).pin_memory().to(device, non_blocking=True)
        for name in ("ids", "segments", "positions", "masked", "masked_weights", "masked_keep", "uniforms")
    }
    return Batch(**moved, packed=batch.packed)


class Prefetcher:
    """Makes the next batch on a thread while the current one trains; there is none from ``total`` on."""

    def __init__(self, make: Callable[[int], Batch], total: int | None = None) -> None:
        self._make, self._total = make, total
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: tuple[int, Future[Batch]] | None = None

    def get(self, step: int) -> Batch:
        """The batch of ``step``; errors of the maker are raised here."""
        ready = self._next[1].result() if self._next and self._next[0] == step else self._make(step)
        more = self._total is None or step + 1 < self._total
        self._next = (step + 1, self._pool.submit(self._make, step + 1)) if more else None
        return ready

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown(cancel_futures=True)
