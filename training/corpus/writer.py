"""Shard files as they grow: temporary until complete, then synced and renamed."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from training.corpus.shards import Split
from training.files import atomic_file

_TEMPORARY = ".writing"


class ShardWriter:
    """Writes one shard. Nothing appears under the final name before ``finish``."""

    def __init__(
        self, directory: Path, source: str, split: Split, part: int, dtype: type[np.generic]
    ) -> None:
        marker = "" if split == "train" else f".{split}"
        self.name = f"{source}{marker}-{part:05d}"
        self.source, self.split, self.tokens = source, split, 0
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._directory = directory
        self._temporary = directory / f".{self.name}.bin{_TEMPORARY}"
        self._stream: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._starts = [0]

    def add(self, ids: np.ndarray) -> None:
        """Append the token ids of one document: [tokens]."""
        if self._stream is None:
            self._stream = self._temporary.open("wb", buffering=1 << 20)
        data = ids.astype(self._dtype, copy=False).tobytes()
        self._stream.write(data)
        self._hash.update(data)
        self.tokens += len(ids)
        self._starts.append(self.tokens)

    def finish(self) -> dict[str, Any] | None:
        """Put both files in place; returns their entry for the manifest, None when there is no document."""
        if self._stream is None:
            return None
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        with atomic_file(self._directory / f"{self.name}.idx.npy") as stream:
            np.save(stream, np.array(self._starts, np.int64))
        self._temporary.replace(self._directory / f"{self.name}.bin")
        return {
            "path": f"{self.name}.bin",
            "index_path": f"{self.name}.idx.npy",
            "source": self.source,
            "split": self.split,
            "documents": len(self._starts) - 1,
            "tokens": self.tokens,
            "sha256": self._hash.hexdigest(),
        }

    def discard(self) -> None:
        """Delete what was written so far."""
        if self._stream is not None:
            with suppress(
                OSError
            ):  # a full disk: what is still in the buffer cannot be written, nor need it be
                self._stream.close()
        self._temporary.unlink(missing_ok=True)


def remove_unfinished(directory: Path) -> None:
    """Delete what a killed build left half-written."""
    for path in directory.glob(f".*{_TEMPORARY}"):
        path.unlink()
    for path in (*directory.glob(".*.tmp"), *(directory / "stages").glob(".*.tmp")):
        path.unlink()
