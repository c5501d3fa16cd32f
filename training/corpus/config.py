"""What a user says about a corpus: its sources and how their text becomes token shards."""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.config import FilePath

Language = Literal["auto", "zh", "en"]
Documents = Literal["auto", "blank", "line", "file"]
Deduplicate = Literal["none", "exact", "near"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class SourceConfig:
    """One source of text: ``path`` (file, folder, glob, saved data set) or ``dataset`` (a hub name)."""

    # File, folder (searched recursively) or glob; `~` and `$VARIABLES` are expanded. A folder written by
    # `Dataset.save_to_disk` is read as that data set.
    path: str | None = None
    # Data set name on the Hugging Face hub, or a local folder that `datasets.load_dataset` understands;
    # streamed.
    dataset: FilePath | None = None
    # Configuration name of a hub data set, and the split of a data set to read.
    subset: str | None = None
    split: str = "train"
    # Name in reports and shard files; default: last part of the path or data set name.
    name: str = ""
    # How often a token of this source is drawn against a token of a source with weight 1 (0.5: half as
    # often).
    weight: float = 1.0
    # Language tag of every document, or `auto`: decided per document from its letters.
    language: Language = "auto"
    # Columns of JSONL, TSV, CSV, Parquet and data sets that hold text, joined by a line break; empty: the
    # first of text, content, document, sentence, article, body that exists.
    columns: tuple[str, ...] = ()
    # What is one document of a .txt file: paragraphs up to a blank line, one line, or the whole file.
    documents: Documents = "auto"
    # Encoding of text files (utf-8, gb18030, big5, ...); a byte order mark is dropped.
    encoding: str = "utf-8"
    # Overrides the corpus-wide setting for this source.
    deduplicate: Deduplicate | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("give either 'path' (files) or 'dataset' (a Hugging Face name)")
        if self.weight <= 0:
            raise ValueError(f"weight must be above 0, found {self.weight}; leave the source out to skip it")
        if not self.name:
            object.__setattr__(self, "name", _default_name(self.path or self.dataset or ""))
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name {self.name!r}: use letters, digits, '_', '-' and '.' only")
        if self.name.endswith(".heldout"):
            raise ValueError(
                f"name {self.name!r}: the ending '.heldout' is taken by the files of the held-out split"
            )
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise ValueError(f"unknown encoding {self.encoding!r}") from None

    @property
    def expanded_path(self) -> Path | None:
        """``path`` with ``~`` and environment variables filled in; None for a hub data set."""
        return None if self.path is None else Path(os.path.expandvars(self.path)).expanduser()


@dataclass(frozen=True)
class CorpusConfig:
    """All sources, and what is kept of them."""

    sources: tuple[SourceConfig, ...] = ()
    # Share of documents, chosen by the hash of their text, that training never sees.
    held_out: float = 0.01
    # none; exact: the same text twice is kept once; near: also text that is almost the same (MinHash).
    deduplicate: Deduplicate = "exact"
    # Estimated Jaccard similarity of 8-character shingles from which two documents count as the same.
    near_threshold: float = 0.8
    # Documents with fewer characters are dropped; longer ones than the maximum are cut at a line end.
    min_characters: int = 16
    max_characters: int = 100_000
    # Training tokens per shard file; also how often progress inside a source is saved.
    shard_tokens: int = 33_554_432
    # Worker processes that clean and tokenise; 0: one per available processor.
    workers: int = 0
    # A row that cannot be read: stop with its file and line, or count it and go on.
    malformed_rows: Literal["error", "skip"] = "error"

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be at least 0 and below 1, found {self.held_out}")
        if not 0.5 <= self.near_threshold < 1:
            raise ValueError(f"near_threshold must be at least 0.5 and below 1, found {self.near_threshold}")
        if not 1 <= self.min_characters < self.max_characters:
            raise ValueError("min_characters must be at least 1 and below max_characters")
        if self.shard_tokens < 1024 or self.workers < 0:
            raise ValueError("shard_tokens must be at least 1024, workers at least 0")
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice:
            raise ValueError(f"two sources are named {twice[0]!r}; give each its own 'name'")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sources, in order."""
        return tuple(source.name for source in self.sources)


def _default_name(location: str) -> str:
    last = [part for part in re.split(r"[/\\]", location) if part and "*" not in part]
    stem = (
        re.sub(r"\.(txt|jsonl|json|tsv|csv|parquet)?(\.(xz|gz|zst|bz2))?$", "", last[-1])
        if last
        else "source"
    )
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).strip("_.-") or "source"
