"""Real text for an export: parity, activation ranges, corruption, statistics."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import training
from app.text.encoder import Encoded, TextEncoder
from app.text.sentences import split_sentences
from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.files import source_files
from training.corpus.readers import SourceReader
from training.errors import UserError

IntArray = npt.NDArray[np.int64]
SAMPLE = Path(training.__file__).parent / "sample" / "text"
"""The text that comes with the package."""


def read_documents(paths: Sequence[str], max_characters: int = 2_000_000) -> list[str]:
    """Documents of files or folders in a fixed random order; no paths: of the sample.

    At most ``max_characters`` are read of each path, in equal shares of its files.

    Raises:
        UserError: a path that cannot be read, or one without text.
    """
    documents: list[str] = []
    for path in paths or [str(SAMPLE)]:
        before = len(documents)
        files = source_files(SourceConfig(path=path, name="texts"))
        for file in files:
            documents += _documents_of(str(file.path), max_characters // len(files))
        if len(documents) == before:
            raise UserError(f"{path}: holds no text; give running text in .txt or .jsonl")
    random.Random(0).shuffle(documents)
    return documents


def _documents_of(path: str, max_characters: int) -> list[str]:
    source = SourceConfig(path=path, name="texts")
    documents = []
    for raw in SourceReader(source, CorpusConfig(sources=(source,))):
        if text := raw.strip():
            documents.append(text)
            max_characters -= len(text)
        if max_characters <= 0:
            break
    return documents


def sentences_of(
    documents: Sequence[str], limit: int | None = None, *, minimum: int = 8, maximum: int = 200
) -> list[str]:
    """At most ``limit`` sentences of ``minimum`` to ``maximum`` characters, in a fixed random order."""
    found = []
    for document in documents:
        for span in split_sentences(document):
            sentence = document[span.start : span.end].strip()
            if minimum <= len(sentence) <= maximum:
                found.append(sentence)
    random.Random(0).shuffle(found)
    return found[:limit]


def pieces_of_lengths(
    documents: Sequence[str], encoder: TextEncoder, count: int, seed: int = 0
) -> list[IntArray]:
    """Token ids of ``count`` stretches of running text, int64 ``[tokens]``, without special tokens.

    Lengths are spaced geometrically from 1 to what fits beside the special tokens, so that short inputs,
    of which there are most in practice, are covered densely and the longest is among them.

    Raises:
        UserError: the documents hold too little text for the longest.
    """
    room = encoder.room
    lengths = (
        np.unique(np.geomspace(1, room, num=count).round().astype(int)) if count > 1 else np.array([room])
    )
    lengths = np.sort(np.resize(lengths, count))
    stream = np.concatenate([encoder.encode(document).ids for document in documents])
    if len(stream) < room:
        raise UserError(
            f"texts: {len(stream)} tokens are too few to fill the model's {room}; name more text in `texts`"
        )
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, len(stream) - lengths + 1)
    return [stream[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def rows_of_text(documents: Sequence[str], encoder: TextEncoder, tokens: int, limit: int) -> list[Encoded]:
    """At most ``limit`` sentences as they are tokenized, each of at least 8 and at most ``tokens`` tokens, or
    fewer where the model holds fewer.
    """
    tokens = min(tokens, encoder.room)
    rows: list[Encoded] = []
    for sentence in sentences_of(documents):
        encoded = encoder.encode(sentence)
        if 8 <= len(encoded) <= tokens:
            rows.append(encoded)
            if len(rows) == limit:
                break
    return rows
