"""Text sources to token shards: what is finished is kept, the rest is built, the manifest comes last."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from app.runtime.threads import available_threads
from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.duplicates import DigestSet
from training.corpus.readers import SourceReader
from training.corpus.report import summary_table
from training.corpus.shards import MANIFEST, SCHEMA_VERSION, TokenShards
from training.corpus.source_build import SourceBuild
from training.corpus.stages import Counts, Stage, Stages, digest_of, source_key
from training.corpus.tokenising import token_dtype
from training.corpus.worker import Pool
from training.corpus.writer import remove_unfinished
from training.errors import UserError
from training.files import atomic_file, disk_is_full, only_one
from training.tokenizer import load_tokenizer, tokenizer_digest

REPORT = "report.json"


def build(
    config: CorpusConfig, tokenizer_file: Path, output_dir: Path, progress: bool = True
) -> dict[str, Any]:
    """Turn the sources of ``config`` into token shards in ``output_dir``; returns the manifest.

    Finished parts of an earlier, interrupted run are kept; those made with another tokenizer or other
    settings are deleted and made again. The result depends on the sources, settings and tokenizer alone: not
    on interruptions or ``workers``.

    Memory: a few batches of 262,144 characters per worker, index and digests of one shard's documents, and
    per document 8 bytes (exact) plus 8 bytes per band (near duplicates), twice that while new ones come in.

    Raises:
        UserError: no source or no text, an unreadable file, a malformed row, a full disk, a build that
        already runs there.
    """
    if not config.sources:
        raise UserError("corpus.sources: empty; name at least one file, folder or data set with text")
    tokenizer = load_tokenizer(tokenizer_file)
    digest = tokenizer_digest(tokenizer_file)
    readers = [SourceReader(source, config) for source in config.sources]
    keys: list[str] = []
    for source, reader in zip(config.sources, readers, strict=True):
        keys.append(source_key(config, source, reader.state, digest, list(keys)))
    weights = {source.name: source.weight for source in config.sources}
    parameters = digest_of({"keys": keys, "weights": weights})
    with only_one(output_dir), _disk_errors(output_dir):
        if (finished := _finished(output_dir, digest, parameters)) is not None:
            return finished
        (output_dir / MANIFEST).unlink(missing_ok=True)  # from here on the directory is unfinished
        remove_unfinished(output_dir)
        stages = Stages(output_dir)
        stages.forget_others(config.names)
        dtype = token_dtype(tokenizer.get_vocab_size())
        pool = Pool(config.workers or available_threads(), tokenizer_file)
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
                    SourceBuild(config, reader, stage, stages, exact, near, dtype).run(pool, progress)
                done[source.name] = stage
        finally:
            pool.close()
        if not any(stage.counts.documents for stage in done.values()):
            raise UserError(_nothing_left(config, done))
        manifest = _manifest(
            config, done, digest, parameters, tokenizer.get_vocab_size(), np.dtype(dtype).name
        )
        report: dict[str, Any] = {
            "seconds": round(time.monotonic() - started, 1),
            "sources": _report(config, done),
        }
        with atomic_file(output_dir / REPORT, "w", encoding="utf-8") as stream:
            json.dump(report, stream, ensure_ascii=False, indent=1)
        with atomic_file(output_dir / MANIFEST, "w", encoding="utf-8") as stream:
            json.dump(manifest, stream, ensure_ascii=False, indent=1)
    if progress:
        print(summary_table(report["sources"]))
    return manifest


@contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if disk_is_full(error):
            raise UserError(
                f"{directory}: the disk is full; make room and run the same command again, "
                "finished parts are kept"
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
    shards = [entry for source in config.sources for entry in stages[source.name].shards]
    return {
        "schema_version": SCHEMA_VERSION,
        "tokenizer_sha256": tokenizer,
        "parameters_digest": parameters,
        "content_sha256": digest_of([(entry["path"], entry["sha256"]) for entry in shards]),  # for provenance
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
        "shards": shards,
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
