"""One source, from where it stands to its last shard: drops duplicates, sets the held-out split apart."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from tqdm import tqdm

from training.corpus.cleaning import TAGS, is_held_out
from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.duplicates import DigestSet
from training.corpus.readers import SourceReader
from training.corpus.stages import Counts, Stage, Stages
from training.corpus.worker import BATCH_CHARACTERS, Batch, Pool, Processed, Settings
from training.corpus.writer import ShardWriter
from training.errors import UserError


class SourceBuild:
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
        pool.start()
        try:
            with _Progress(self.reader, self.stage.counts, progress) as bar:
                for processed in pool.map(_batches(documents, self.reader), settings):
                    self._take(processed)
                    bar.update(processed)
            counts, issues = self.stage.counts, self.reader.issues
            counts.broken_lines, counts.malformed_rows = issues.broken_lines, issues.malformed_rows
            self.stage.modes, self.stage.examples = self.reader.modes, issues.examples
            if not counts.read:
                raise UserError(
                    f"source {self.source.name!r}: no document in it; put text there or leave it out"
                )
            self._close_part(finished=True)
        finally:
            self.train.discard()
            self.heldout.discard()

    def _take(self, batch: Processed) -> None:
        """Keep the new documents of a processed batch."""
        counts = self.stage.counts
        known = self.exact.known(batch.digests)
        known_bands = None if batch.bands is None else self.near.known(batch.bands)
        ends = np.cumsum(batch.lengths)
        for number, (digest, length) in enumerate(
            zip(batch.digests.tolist(), batch.lengths.tolist(), strict=True)
        ):
            counts.read += 1
            counts.bytes += int(batch.utf8_bytes[number])
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


def _batches(documents: Iterable[str], reader: SourceReader) -> Iterator[Batch]:
    texts: list[str] = []
    characters = 0
    for text in documents:
        texts.append(text)
        characters += len(text) + 64
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
