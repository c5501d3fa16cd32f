"""Which documents were seen before: exactly (64-bit digests) or nearly (bands of MinHash signatures)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

_RECENT = 1 << 18
_SHINGLE = 8  # characters
_SIGNATURE = 128  # hash functions
_MOST_SHINGLES = (
    512  # bounds the cost of one document; longer ones are sampled by hash, which keeps the estimate fair
)


class DigestSet:
    """A set of 64-bit digests: a sorted array, and a bounded hash set of the newest.

    It takes 8 bytes a digest, and 17 while the newest are put in.
    """

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._recent: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def known(self, digests: np.ndarray) -> np.ndarray:
        """Whether each of ``digests`` (uint64 [...]) is among the sorted ones: bool [...]."""
        if not len(self._sorted):
            return np.zeros(len(digests), bool)
        at = np.minimum(np.searchsorted(self._sorted, digests), len(self._sorted) - 1)
        found: np.ndarray = self._sorted[at] == digests
        return found

    def is_recent(self, digest: int) -> bool:
        """Whether ``digest`` was added since the last merge."""
        return digest in self._recent

    def add(self, digest: int) -> None:
        """Add one digest that is not in the set yet."""
        self._recent.add(digest)

    def update(self, digests: np.ndarray) -> None:
        """Add many (uint64 [n]) at once."""
        added = np.sort(digests.astype(np.uint64))
        new = ~self.known(added)
        new[1:] &= added[1:] != added[:-1]
        added = added[new]
        # Not np.union1d: since numpy 2.3 it hashes all of them, ten times the memory and the time.
        self._sorted = np.insert(self._sorted, np.searchsorted(self._sorted, added), added)

    def settle(self) -> None:
        """Merge the recent ones into the sorted array when they are many; call it between batches."""
        if len(self._recent) >= _RECENT:
            self.update(np.fromiter(self._recent, np.uint64, len(self._recent)))
            self._recent.clear()


@lru_cache(maxsize=4)
def bands_for(threshold: float) -> tuple[int, int]:
    """Bands and rows per band that datasketch's LSH chooses for ``threshold``."""
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=_SIGNATURE)
    return index.b, index.r


def band_digests(text: str, threshold: float) -> np.ndarray:
    """One 64-bit digest per LSH band of the MinHash signature of ``text``: uint64 [bands].

    Two documents share a band with high probability when the Jaccard similarity of their 8-character
    shingles is above ``threshold``. The index is a set of these digests and not datasketch's dictionaries,
    which need kilobytes per document where this needs 8 bytes per band (Leskovec et al., Mining of Massive
    Datasets, chapter 3).
    """
    bands, rows = bands_for(threshold)
    signature = _signature(_shingles(text))[: bands * rows].reshape(bands, rows)
    mixed = np.arange(1, bands + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for column in signature.T:
        mixed = (mixed ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _shingles(text: str) -> np.ndarray:
    """Distinct hashes of the 8-character windows of ``text``, the smallest of many: uint64 [n]."""
    codes = np.frombuffer("".join(text.split()).lower().encode("utf-32-le"), np.uint32).astype(np.uint64)
    count = max(len(codes) - _SHINGLE + 1, 1)
    hashes = np.zeros(count, np.uint64)
    for offset in range(min(_SHINGLE, len(codes))):
        hashes = hashes * np.uint64(0x100000001B3) + codes[offset : offset + count]
    hashes ^= hashes >> np.uint64(29)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(32)
    unique = np.unique(hashes)
    return unique[:_MOST_SHINGLES]


def _signature(hashes: np.ndarray) -> np.ndarray:
    sketch = _empty_sketch().copy()
    sketch.update_batch(hashes.tolist())
    return np.asarray(sketch.hashvalues, np.uint64)


@lru_cache(maxsize=1)
def _empty_sketch() -> Any:
    from datasketch import MinHash

    # The hash values are ready: the library only permutes them.
    return MinHash(num_perm=_SIGNATURE, seed=1, hashfunc=int, scheme="affine64")
