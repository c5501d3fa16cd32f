"""Text sources to token shards: reads, lets workers clean and tokenise, drops duplicates, writes, and can continue."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from training.corpus.cleaning import TAGS, is_held_out
from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.duplicates import DigestSet
from training.corpus.readers import Document, SourceReader
from training.corpus.report import summary_table
from training.corpus.shards import MANIFEST, SCHEMA_VERSION, TokenShards
from training.corpus.stages import Counts, Stage, Stages, digest_of, source_key
from training.corpus.worker import BATCH_CHARACTERS, Batch, Pool, Processed, Settings, token_dtype
from training.corpus.writer import ShardWriter, remove_unfinished
from training.errors import UserError
from training.files import atomic_file
from training.tokenizer import load_tokenizer, tokenizer_digest

REPORT = "report.json"


def build(
    config: CorpusConfig, tokenizer_file: Path, output_dir: Path, progress: bool = True
) -> dict[str, Any]:
    """Turn the sources of ``config`` into token shards in ``output_dir``; returns the manifest.

    Finished parts of an earlier, interrupted run are kept; those made with another tokenizer or other settings are deleted
    and made again. The result depends on the sources, settings and tokenizer alone: not on interruptions or ``workers``.

    Memory: a few batches of 262,144 characters per worker, one shard's document index, and per document 8 bytes (exact) plus
    8 bytes per band (near duplicates).

    Raises:
        UserError: no source or no text, an unreadable file, a malformed row, a full disk, a build that already runs there.
    """
    if not config.sources:
        raise UserError("corpus.sources: empty; name at least one file, folder or data set with text")
    tokenizer = load_tokenizer(tokenizer_file)
    digest = tokenizer_digest(tokenizer_file)
    readers = [SourceReader(source, config) for source in config.sources]
    keys: list[str] = []
    for source, reader in zip(config.sources, readers, strict=True):
        keys.append(source_key(config, source, reader.files, digest, list(keys)))
    weights = {source.name: source.weight for source in config.sources}
    parameters = digest_of({"keys": keys, "weights": weights})
    output_dir.mkdir(parents=True, exist_ok=True)
    with _only_one(output_dir), _disk_errors(output_dir):
        if (finished := _finished(output_dir, digest, parameters)) is not None:
            return finished
        (output_dir / MANIFEST).unlink(missing_ok=True)  # from here on the directory is unfinished
        remove_unfinished(output_dir)
        stages = Stages(output_dir)
        stages.forget_others(config.names)
        dtype = token_dtype(tokenizer.get_vocab_size())
        pool = Pool(config.workers or available_processors(), tokenizer_file)
        exact, near = DigestSet(), DigestSet()
        done: dict[str, Stage] = {}
        started = time.monotonic()
        try:
            for source, reader, key in zip(config.sources, readers, keys, strict=True):
                stage = stages.load(source.name, key)
                for digests, bands in stages.load_digests(source.name, stage.parts):
                    exact.update(digests)
                    near.update(bands.reshape(-1))
                if not stage.finished:
                    _SourceBuild(config, reader, stage, stages, exact, near, dtype).run(pool, progress)
                done[source.name] = stage
        finally:
            pool.close()
        if not any(stage.counts.documents for stage in done.values()):
            raise UserError(_nothing_left(config, done))
        manifest = _manifest(
            config, done, digest, parameters, tokenizer.get_vocab_size(), np.dtype(dtype).name
        )
        report = {"seconds": round(time.monotonic() - started, 1), "sources": _report(config, done)}
        with atomic_file(output_dir / REPORT, "w", encoding="utf-8") as stream:
            json.dump(report, stream, ensure_ascii=False, indent=1)
        with atomic_file(output_dir / MANIFEST, "w", encoding="utf-8") as stream:
            json.dump(manifest, stream, ensure_ascii=False, indent=1)
    if progress:
        print(summary_table(report["sources"]))
    return manifest


def available_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _SourceBuild:
    """Builds one source from where its stage stands."""

    def __init__(
        self,
        config: CorpusConfig,
        reader: SourceReader,
        stage: Stage,
        stages: Stages,
        exact: DigestSet,
        near: DigestSet,
        dtype: type[np.generic],
    ) -> None:
        self.config, self.reader, self.stage, self.stages = config, reader, stage, stages
        self.exact, self.near, self.dtype = exact, near, dtype
        self.source: SourceConfig = reader.source
        self.deduplicate = self.source.deduplicate or config.deduplicate
        self._open_part()

    def _open_part(self) -> None:
        arguments = (self.stages.directory, self.source.name)
        self.train = ShardWriter(*arguments, "train", self.stage.parts, self.dtype)
        self.heldout = ShardWriter(*arguments, "heldout", self.stage.parts, self.dtype)
        self.digests: list[int] = []
        self.bands: list[np.ndarray] = []

    def _close_part(self, finished: bool) -> None:
        entries = [entry for writer in (self.train, self.heldout) if (entry := writer.finish()) is not None]
        self.stages.save_digests(self.source.name, self.stage.parts, self.digests, self.bands)
        self.stage.shards += entries
        self.stage.parts += 1
        self.stage.finished = finished
        self.stages.save(self.source.name, self.stage)

    def run(self, pool: Pool, progress: bool) -> None:
        """Read, process and write the rest of the source."""
        settings = Settings(
            self.source.language,
            self.config.min_characters,
            self.config.near_threshold if self.deduplicate == "near" else None,
        )
        documents = islice(
            self.reader, self.stage.counts.read, None
        )  # those of finished parts are only read past
        try:
            with _Progress(self.reader, self.stage.counts, progress) as bar:
                for processed in pool.map(_batches(documents, self.reader), settings):
                    self._take(processed)
                    bar.update(processed)
            counts, issues = self.stage.counts, self.reader.issues
            counts.broken_lines, counts.malformed_rows = issues.broken_lines, issues.malformed_rows
            self.stage.modes, self.stage.examples = self.reader.modes, issues.examples
            self._close_part(finished=True)
        finally:
            self.train.discard()
            self.heldout.discard()

    def _take(self, batch: Processed) -> None:
        """Keep the new documents of a processed batch."""
        counts = self.stage.counts
        counts.bytes += batch.utf8_bytes
        known = self.exact.known(batch.digests)
        known_bands = None if batch.bands is None else self.near.known(batch.bands)
        ends = np.cumsum(batch.lengths)
        for number, (digest, length) in enumerate(
            zip(batch.digests.tolist(), batch.lengths.tolist(), strict=True)
        ):
            counts.read += 1
            if batch.short[number]:
                counts.short += 1
                continue
            if not length:
                counts.empty += 1
                continue
            if self.deduplicate != "none":
                if known[number] or self.exact.is_recent(digest):
                    counts.duplicates_exact += 1
                    continue
                if batch.bands is not None and known_bands is not None:
                    bands = batch.bands[number].tolist()
                    if known_bands[number].any() or any(map(self.near.is_recent, bands)):
                        counts.duplicates_near += 1
                        continue
                    for band in bands:
                        self.near.add(band)
                    self.bands.append(batch.bands[number])
                self.exact.add(digest)
                self.digests.append(digest)
            held_out = is_held_out(digest, self.config.held_out)
            (self.heldout if held_out else self.train).add(batch.tokens[ends[number] - length : ends[number]])
            counts.documents += 1
            counts.tokens += length
            counts.characters += int(batch.characters[number])
            counts.languages[TAGS[batch.tags[number]]] += 1
            if held_out:
                counts.heldout_documents += 1
                counts.heldout_tokens += length
            if self.train.tokens >= self.config.shard_tokens:
                self._close_part(finished=False)
                self._open_part()
        self.exact.settle()
        self.near.settle()


def _batches(documents: Iterable[Document], reader: SourceReader) -> Iterator[Batch]:
    texts: list[str] = []
    characters = 0
    for document in documents:
        texts.append(document.text)
        characters += len(document.text) + 64
        if characters >= BATCH_CHARACTERS:
            yield Batch(texts, reader.position.bytes)
            texts, characters = [], 0
    if texts:
        yield Batch(texts, reader.position.bytes)


class _Progress:
    """A bar over the stored bytes of a source, with documents and megabytes of text per second beside it."""

    def __init__(self, reader: SourceReader, counts: Counts, shown: bool) -> None:
        self._counts, self._from, self._started = counts, counts.bytes, time.monotonic()
        self._bar = tqdm(
            desc=reader.source.name,
            total=reader.total_bytes,
            unit="B",
            unit_scale=True,
            disable=not shown,
            leave=True,
        )

    def __enter__(self) -> _Progress:
        return self

    def update(self, batch: Processed) -> None:
        """Show that ``batch`` was written."""
        speed = (self._counts.bytes - self._from) / (time.monotonic() - self._started) / 1e6
        self._bar.set_postfix_str(
            f"{self._counts.documents:,} documents, {speed:.1f} MB text/s", refresh=False
        )
        self._bar.update(max(batch.position - self._bar.n, 0))

    def __exit__(self, *_: object) -> None:
        self._bar.close()


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Hold the lock of ``directory``; the system lets go of it however the process ends."""
    with (directory / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{directory}: another build writes there; wait for it or choose another directory"
            ) from None
        yield


@contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"{directory}: the disk is full; make room and run the same command again: finished parts are kept"
            ) from None
        raise


def _finished(directory: Path, tokenizer: str, parameters: str) -> dict[str, Any] | None:
    """The manifest if it was made from the same tokenizer and parameters and its shards are whole."""
    try:
        shards = TokenShards(directory)
    except UserError:
        return None
    manifest = shards.manifest
    same = (manifest["tokenizer_sha256"], manifest["parameters_digest"]) == (tokenizer, parameters)
    return manifest if same else None


def _manifest(
    config: CorpusConfig,
    stages: dict[str, Stage],
    tokenizer: str,
    parameters: str,
    vocab_size: int,
    dtype: str,
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "tokenizer_sha256": tokenizer,
        "parameters_digest": parameters,
        "dtype": dtype,
        "vocab_size": vocab_size,
        "sources": {
            source.name: {
                "weight": source.weight,
                "language": _language(source, stages[source.name].counts),
                **{
                    key: value
                    for key, value in asdict(stages[source.name].counts).items()
                    if key in ("documents", "tokens", "characters", "heldout_documents", "heldout_tokens")
                    or key.startswith("duplicates_")
                },
            }
            for source in config.sources
        },
        "shards": [entry for source in config.sources for entry in stages[source.name].shards],
    }


def _language(source: SourceConfig, counts: Counts) -> str:
    if source.language != "auto":
        return source.language
    return max(counts.languages, key=lambda tag: counts.languages[tag])


def _report(config: CorpusConfig, stages: dict[str, Stage]) -> dict[str, dict[str, Any]]:
    return {
        source.name: {
            "weight": source.weight,
            **asdict(stages[source.name].counts),
            "document_modes": stages[source.name].modes,
            "examples": stages[source.name].examples,
        }
        for source in config.sources
    }


def _nothing_left(config: CorpusConfig, stages: dict[str, Stage]) -> str:
    read = sum(stage.counts.read for stage in stages.values())
    short = sum(stage.counts.short for stage in stages.values())
    names = ", ".join(config.names)
    if not read:
        return f"corpus: no document in {names}; put text there or correct the paths"
    return (
        f"corpus: no document is left of {read} read from {names} ({short} shorter than min_characters "
        f"{config.min_characters}); lower min_characters, or check `documents` and `columns`"
    )
