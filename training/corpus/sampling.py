"""Cleaned texts without tokens: for training a tokenizer, or to look at."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from training.corpus.cleaning import clean_text, is_held_out, text_digest
from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.lines import COMPRESSED, decompressed, open_bytes
from training.corpus.readers import SourceReader

_MEASURED = 1 << 20
_MARGIN = 1.05  # documents are drawn by chance; a little more than wanted, then cut off


def iter_documents(config: CorpusConfig, source: SourceConfig) -> Iterator[str]:
    """Cleaned training documents of one source, without the held-out ones; duplicates are still there."""
    for raw in SourceReader(source, config):
        text = clean_text(raw)
        if len(text) >= config.min_characters and not is_held_out(text_digest(text), config.held_out):
            yield text


def sample_texts(config: CorpusConfig, *, characters: int, seed: int = 0) -> Iterator[str]:
    """About ``characters`` characters of training text: of each source in proportion to size times weight.

    Documents are drawn evenly over a source of files (the whole of it is read); from a data set of unknown
    size the first ones are taken. The same arguments give the same texts.
    """
    sizes = [_size(SourceReader(source, config)) for source in config.sources]
    quotas = _shares(sizes, [source.weight for source in config.sources], characters)
    for number, (source, size, quota) in enumerate(zip(config.sources, sizes, quotas, strict=True)):
        chance = 1.0 if size is None else min(1.0, _MARGIN * quota / max(size, 1))
        draw = random.Random(f"{seed}/{number}")
        given = 0
        for text in iter_documents(config, source):
            if given >= quota:
                break
            if chance >= 1.0 or draw.random() < chance:
                given += len(text)
                yield text


def _shares(sizes: list[int | None], weights: list[float], wanted: int) -> list[int]:
    """Characters to take of each source: in proportion to size times weight, but never more than it has."""
    mean = sum(size for size in sizes if size) // max(sum(1 for size in sizes if size), 1) or wanted
    masses = [(size or mean) * weight for size, weight in zip(sizes, weights, strict=True)]
    shares = [0] * len(sizes)
    open_sources, left = set(range(len(sizes))), wanted
    while open_sources:
        total = sum(masses[index] for index in open_sources)
        full = {
            i for i in open_sources if (size := sizes[i]) is not None and left * masses[i] / total >= size
        }
        for index in full or open_sources:
            shares[index] = sizes[index] or 0 if full else int(left * masses[index] / total)
        if not full:
            break
        left -= sum(shares[index] for index in full)
        open_sources -= full
    return shares


def _size(reader: SourceReader) -> int | None:
    """Characters of a source, estimated from the first MiB of its largest files; None if unknown."""
    if reader.total_bytes is None:
        return None
    total = 0.0
    ratios: dict[str, float] = {}
    for file in sorted(reader.files, key=lambda file: -file.size):
        kind = "".join(file.path.suffixes[-2:])
        if kind not in ratios:
            ratios[kind] = 1.0 if file.format == "parquet" else _characters_per_byte(file.path)
        total += ratios[kind] * file.size
    return int(total)


def _characters_per_byte(path: Path) -> float:
    with path.open("rb") as raw:
        compressed_head = len(raw.read(_MEASURED))
    with open_bytes(path) as stream:
        head = stream.read(_MEASURED)
    if not head:
        return 1.0
    characters = len(head.decode("utf-8", errors="ignore"))
    if path.suffix.lower() not in COMPRESSED:
        return characters / len(head)
    return characters / len(head) * _expansion(path, compressed_head)


def _expansion(path: Path, compressed: int) -> float:
    """Plain bytes per stored byte, over the first ``compressed`` stored bytes."""
    plain = 0
    with path.open("rb") as raw:
        stream = decompressed(path, raw)
        while chunk := stream.read(_MEASURED):
            plain += len(chunk)
            if raw.tell() >= compressed:
                break
        return plain / max(raw.tell(), 1)
