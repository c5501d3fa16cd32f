"""How far each source is: a small file, renewed after every finished part, so that a build can continue."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.config import from_mapping
from training.corpus.cleaning import TAGS
from training.corpus.config import CorpusConfig, SourceConfig
from training.errors import UserError
from training.files import atomic_file

# Raise when the same settings would give other tokens: cleaning, reading or splitting changed.
PIPELINE_VERSION = 1


@dataclass
class Counts:
    """What became of the documents of one source. Held-out documents are counted in the totals too."""

    read: int = 0  # documents read, whatever became of them
    documents: int = 0  # kept
    tokens: int = 0
    characters: int = 0
    bytes: int = 0  # of all cleaned text that was read, in UTF-8
    duplicates_exact: int = 0
    duplicates_near: int = 0
    short: int = 0  # fewer characters than the minimum
    empty: int = 0  # no token at all
    heldout_documents: int = 0
    heldout_tokens: int = 0
    languages: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TAGS, 0))  # kept documents
    broken_lines: int = 0
    malformed_rows: int = 0


@dataclass
class Stage:
    """State of one source after its last finished part."""

    key: str
    finished: bool = False
    parts: int = 0
    counts: Counts = field(default_factory=Counts)
    shards: list[dict[str, Any]] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)


def digest_of(value: Any) -> str:
    """SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def source_key(
    config: CorpusConfig,
    source: SourceConfig,
    files: list[tuple[str, int, int]],
    tokenizer: str,
    previous: list[str],
) -> str:
    """What the shards of a source depend on; a stage with another key is not used.

    Duplicates are looked for in earlier sources too, so with deduplication their keys are part of it. The
    weight is not: it changes how tokens are drawn, not the tokens.
    """
    deduplicate = source.deduplicate or config.deduplicate
    return digest_of(
        {
            "pipeline": PIPELINE_VERSION,
            "tokenizer": tokenizer,
            "source": {k: v for k, v in asdict(source).items() if k not in ("weight", "path", "deduplicate")},
            "files": files,
            "deduplicate": deduplicate,
            "near_threshold": config.near_threshold if deduplicate == "near" else None,
            "previous": previous if deduplicate != "none" else [],
            **{
                name: getattr(config, name)
                for name in ("held_out", "min_characters", "max_characters", "shard_tokens", "malformed_rows")
            },
        }
    )


class Stages:
    """The stage files of a corpus directory, under ``stages/``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._folder = directory / "stages"

    def load(self, source: str, key: str) -> Stage:
        """The stage of ``source`` if made under ``key`` and whole; else a new one, the old files deleted."""
        path = self._folder / f"{source}.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            values = None
        if isinstance(values, Mapping) and values.get("key") == key:
            with suppress(UserError):  # fields of another version: as good as no stage
                stage = from_mapping(Stage, values, str(path))
                if self._complete(source, stage):
                    return stage
        self.remove(source)
        return Stage(key)

    def _complete(self, source: str, stage: Stage) -> bool:
        shards = all(
            (self.directory / entry["path"]).is_file() and (self.directory / entry["index_path"]).is_file()
            for entry in stage.shards
        )
        return shards and all(self._digests(source, part).is_file() for part in range(stage.parts))

    def save(self, source: str, stage: Stage) -> None:
        """Replace the stage file in one step."""
        with atomic_file(self._folder / f"{source}.json", "w", encoding="utf-8") as stream:
            json.dump(asdict(stage), stream, ensure_ascii=False, indent=1)

    def save_digests(self, source: str, part: int, digests: list[int], bands: list[np.ndarray]) -> None:
        """Keep the digests of the documents of a part: a later run knows them without reading the text."""
        with atomic_file(self._digests(source, part)) as stream:
            np.savez(stream, digests=np.array(digests, np.uint64), bands=np.array(bands, np.uint64))

    def load_digests(self, source: str, parts: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each finished part: digests uint64 [documents], bands uint64 [documents, bands] (or empty)."""
        loaded = []
        for part in range(parts):
            with np.load(self._digests(source, part)) as arrays:
                loaded.append((arrays["digests"], arrays["bands"]))
        return loaded

    def remove(self, source: str) -> None:
        """Delete the stage of ``source`` and every shard of it."""
        (self._folder / f"{source}.json").unlink(missing_ok=True)  # first: it must never name missing files
        part = "[0-9]" * 5
        for name in (f"{source}-{part}", f"{source}.heldout-{part}"):
            for path in (*self.directory.glob(f"{name}.bin"), *self.directory.glob(f"{name}.idx.npy")):
                path.unlink()
        for path in self._folder.glob(f"{source}-{part}.npz"):
            path.unlink()

    def forget_others(self, sources: tuple[str, ...]) -> None:
        """Delete stages and shards of sources that the corpus no longer has."""
        for path in self._folder.glob("*.json"):
            if path.stem not in sources:
                self.remove(path.stem)

    def _digests(self, source: str, part: int) -> Path:
        return self._folder / f"{source}-{part:05d}.npz"
