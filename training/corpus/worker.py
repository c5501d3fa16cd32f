"""What the worker processes do: clean, tag, digest and tokenise a batch of documents."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from sys import platform
from threading import Thread

import numpy as np

from training.corpus.cleaning import TAGS, clean_text, detect_language, text_digest
from training.corpus.duplicates import band_digests
from training.corpus.tokenising import DocumentEncoder
from training.errors import UserError

BATCH_CHARACTERS = 1 << 18
IN_FLIGHT = 3  # batches per worker: one at work, one waiting for it, one being written


@dataclass(frozen=True)
class Batch:
    """Raw documents on their way to a worker."""

    texts: list[str]
    position: int  # bytes of the source read when the batch was full


@dataclass(frozen=True)
class Settings:
    """What a worker needs to know; the same for every batch of a source."""

    language: str
    min_characters: int
    near_threshold: float | None  # None: no near-duplicate bands


@dataclass(frozen=True)
class Processed:
    """A batch after cleaning; arrays over its documents. Documents that are too short have no tokens."""

    position: int
    utf8_bytes: np.ndarray  # int64 [documents], after cleaning
    tokens: np.ndarray  # uint16 or uint32 [tokens of the batch], documents back to back
    lengths: np.ndarray  # int64 [documents], tokens of each
    characters: np.ndarray  # int64 [documents], after cleaning
    digests: np.ndarray  # uint64 [documents]
    tags: np.ndarray  # uint8 [documents], index into cleaning.TAGS
    short: np.ndarray  # bool [documents]
    bands: np.ndarray | None  # uint64 [documents, bands]


def process(batch: Batch, settings: Settings, encoder: DocumentEncoder) -> Processed:
    """Clean and tokenise one batch; special tokens are put in later, when rows are packed."""
    texts = [clean_text(text) for text in batch.texts]
    short = np.array([len(text) < settings.min_characters for text in texts])
    kept = [text for text, is_short in zip(texts, short, strict=True) if not is_short]
    encoded = iter(encoder.encode(kept))
    empty = np.empty(0, encoder.dtype)
    ids = [empty if is_short else next(encoded) for is_short in short]
    lengths = np.array([len(row) for row in ids], np.int64)
    tags = [settings.language if settings.language != "auto" else detect_language(text) for text in texts]
    threshold = settings.near_threshold
    return Processed(
        position=batch.position,
        utf8_bytes=np.array([len(text.encode()) for text in texts], np.int64),
        tokens=np.concatenate([empty, *ids]),
        lengths=lengths,
        characters=np.array([len(text) for text in texts], np.int64),
        digests=np.array([text_digest(text) for text in texts], np.uint64),
        tags=np.array([TAGS.index(tag) for tag in tags], np.uint8),
        short=short,
        bands=None if threshold is None else np.stack([band_digests(text, threshold) for text in texts]),
    )


_encoder: DocumentEncoder | None = None


def _start(tokenizer_file: Path) -> None:
    """Runs once in every worker process."""
    global _encoder
    from training.tokenizer import load_tokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one process per processor already
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the build, and the build ends its workers
    parent = parent_process()
    assert parent is not None
    Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _encoder = DocumentEncoder(load_tokenizer(tokenizer_file))


def _end_with(sentinel: int) -> None:
    # Workers of a killed build must not linger: an executor's process otherwise waits for work for ever.
    wait([sentinel])
    os._exit(1)


def _work(batch: Batch, settings: Settings) -> Processed:
    assert _encoder is not None
    return process(batch, settings, _encoder)


class Pool:
    """Worker processes; results come back in the order of the batches, and few batches exist at a time."""

    def __init__(self, workers: int, tokenizer_file: Path) -> None:
        # Forking keeps scripts without a main guard working; elsewhere than on Linux it is not safe.
        context = get_context("fork" if platform == "linux" else "spawn")
        self._workers = workers
        self._executor = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(tokenizer_file,))

    def start(self) -> None:
        """Start the processes now: forking is safest while this process has few threads."""
        self._executor.submit(int).result()

    def map(self, batches: Iterable[Batch], settings: Settings) -> Iterator[Processed]:
        """Process ``batches``, at most ``IN_FLIGHT`` per worker read ahead.

        Raises:
            UserError: a worker process died.
        """
        waiting: deque[Future[Processed]] = deque()
        try:
            for batch in batches:
                waiting.append(self._executor.submit(_work, batch, settings))
                if len(waiting) >= IN_FLIGHT * self._workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "corpus: a worker process was killed, most likely for lack of memory; lower `workers` and "
                "run again: finished parts are kept"
            ) from None

    def close(self) -> None:
        """End the processes; batches that wait are dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)
