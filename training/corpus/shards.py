"""Token shards on disk: the manifest, and a reader that maps them into memory.

A directory of shards holds ``manifest.json`` and, per shard, ``<source>-00000.bin`` (little-endian token ids
of documents back to back, no special tokens) and ``<source>-00000.idx.npy`` (int64 [documents + 1], start of
each document in tokens).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from app.bundle_files import sha256_of
from training.errors import UserError

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
Split = Literal["train", "heldout"]


class DocumentHandle(NamedTuple):
    """Where a document is: shard number in ``TokenShards.all_shards``, document number in that shard."""

    shard: int
    document: int


@dataclass(frozen=True)
class Shard:
    """One shard file and its index, memory-mapped on first use."""

    path: Path
    index_path: Path
    source: str
    split: Split
    documents: int
    tokens: int
    sha256: str
    dtype: str

    @cached_property
    def ids(self) -> np.ndarray:
        """All token ids of the shard: [tokens], read-only, on disk."""
        # As a plain array over the same pages: slices of a ``memmap`` take five times as long.
        return np.asarray(np.memmap(self.path, dtype=np.dtype(self.dtype).newbyteorder("<"), mode="r"))

    @cached_property
    def starts(self) -> np.ndarray:
        """Start of each document, and the end of the last: int64 [documents + 1]."""
        starts: np.ndarray = np.load(self.index_path, mmap_mode="r")
        return starts

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each document: int64 [documents]."""
        return np.diff(self.starts)

    def document(self, number: int) -> np.ndarray:
        """Token ids of one document: [tokens of it], a view of the file."""
        if not 0 <= number < self.documents:
            raise IndexError(f"{self.path.name}: document {number} of {self.documents}")
        return self.ids[self.starts[number] : self.starts[number + 1]]


class TokenShards:
    """The shards of a corpus.

    Attributes:
        manifest: as written; ``manifest["sources"][name]`` holds weight, language and counts.
        weights: source -> how often one of its tokens is drawn against a token of weight 1.
        all_shards: every shard, in the order of the manifest.
    """

    def __init__(self, directory: Path, tokenizer_file: Path | None = None, *, verify: bool = False) -> None:
        """Open the shards in ``directory``; sizes are checked always, checksums when ``verify``.

        Raises:
            UserError: no finished corpus there, another format version, a damaged or missing shard, or ids
            that were made
                with another tokenizer than ``tokenizer_file`` (a file, or a directory that holds it).
        """
        self.directory = directory
        self.manifest = read_manifest(directory)
        if tokenizer_file is not None:
            from training.tokenizer import tokenizer_digest

            digest = tokenizer_digest(tokenizer_file)
            if digest != self.manifest["tokenizer_sha256"]:
                raise UserError(
                    f"{directory}: made with tokenizer {self.manifest['tokenizer_sha256'][:12]}, but "
                    f"{tokenizer_file} is {digest[:12]}; build the corpus again with this tokenizer"
                )
        self.tokenizer_sha256: str = self.manifest["tokenizer_sha256"]
        self.vocab_size: int = self.manifest["vocab_size"]
        self.weights: dict[str, float] = {n: s["weight"] for n, s in self.manifest["sources"].items()}
        self.all_shards = [
            Shard(
                path=directory / entry["path"],
                index_path=directory / entry["index_path"],
                dtype=self.manifest["dtype"],
                **{key: entry[key] for key in ("source", "split", "documents", "tokens", "sha256")},
            )
            for entry in self.manifest["shards"]
        ]
        for shard in self.all_shards:
            _check(shard, verify)

    def shards(self, split: Split, source: str | None = None) -> list[Shard]:
        """The shards of one split, of one source or of all."""
        return [s for s in self.all_shards if s.split == split and source in (None, s.source)]

    def documents(self, split: Split, source: str | None = None) -> Iterator[DocumentHandle]:
        """Handles of all documents of a split, in stored order."""
        for number, shard in enumerate(self.all_shards):
            if shard.split == split and source in (None, shard.source):
                yield from (DocumentHandle(number, document) for document in range(shard.documents))

    def read(self, handle: DocumentHandle) -> np.ndarray:
        """Token ids of a document: [tokens], a view of the file."""
        return self.all_shards[handle.shard].document(handle.document)

    def tokens(self, split: Split, source: str | None = None) -> int:
        """Tokens in a split."""
        return sum(shard.tokens for shard in self.shards(split, source))


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read and check ``manifest.json``.

    Raises:
        UserError: missing (the build did not finish), unreadable, or of another version.
    """
    path = directory / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["schema_version"]
    except FileNotFoundError:
        raise UserError(f"{path}: not there; run `electra-train corpus` until it ends") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a manifest ({error}); delete {directory} and build it again") from None
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{path}: format version {version}, this program reads {SCHEMA_VERSION}; build it again"
        )
    return manifest


def _check(shard: Shard, verify: bool) -> None:
    cure = "delete it and run `electra-train corpus` again"
    for path in (shard.path, shard.index_path):
        if not path.is_file():
            raise UserError(f"{path}: named in {MANIFEST} but not there; {cure}")
    expected = shard.tokens * np.dtype(shard.dtype).itemsize
    if (size := shard.path.stat().st_size) != expected:
        raise UserError(f"{shard.path}: {size} bytes where {expected} are expected; {cure}")
    try:
        whole = len(shard.starts) == shard.documents + 1 and int(shard.starts[-1]) == shard.tokens
    except (ValueError, OSError, EOFError):
        whole = False
    if not whole:
        raise UserError(f"{shard.index_path}: damaged; {cure}")
    if verify and sha256_of(shard.path) != shard.sha256:
        raise UserError(f"{shard.path}: its content changed since it was written; {cure}")
