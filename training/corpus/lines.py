"""Text files as numbered lines: decompressed on the fly, decoded, one bounded line in memory at a time."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from training.errors import UserError

COMPRESSED = (".xz", ".gz", ".zst", ".bz2")
LINE_BYTES = 1 << 20  # a longer line arrives in pieces of this size
ROW_BYTES = 64 << 20  # a JSON row must fit in memory
_EXAMPLES = 5
_BROKEN_SHARE = 0.05


@dataclass
class Issues:
    """What was wrong with the text of a source without stopping it."""

    broken_lines: int = 0  # lines with bytes that are not in the encoding; those bytes are dropped
    malformed_rows: int = 0  # rows skipped because the user asked to
    examples: list[str] = field(default_factory=list)

    def add(self, kind: str, message: str) -> None:
        """Count one issue of ``kind`` (a field name) and keep its message if it is among the first few."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(message)


class Line(NamedTuple):
    number: int  # from 1, as editors count
    text: str  # without its line break
    complete: bool  # False: the line goes on in the next piece


class Position:
    """Bytes of the stored (compressed) files consumed so far, for progress."""

    def __init__(self) -> None:
        self._finished = 0
        self._stream: IO[bytes] | None = None

    def start(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def finish(self, size: int) -> None:
        self._finished += size
        self._stream = None

    @property
    def bytes(self) -> int:
        stream = self._stream
        return self._finished + (stream.tell() if stream is not None and not stream.closed else 0)


@contextmanager
def open_bytes(path: Path, position: Position | None = None) -> Iterator[io.BufferedReader]:
    """Open ``path``, decompressing .xz, .gz, .zst and .bz2.

    Raises:
        UserError: missing, unreadable, or damaged compressed data.
    """
    try:
        with path.open("rb") as raw:
            if position is not None:
                position.start(raw)
            yield decompressed(path, raw)
            if position is not None:
                position.finish(path.stat().st_size)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; correct the path of this source") from None
    except PermissionError:
        raise UserError(f"{path}: not readable; give this user the right to read it") from None
    except _damage() as error:
        if isinstance(error, OSError) and error.errno is not None:  # the device failed, not the decompressor
            raise
        raise UserError(f"{path}: damaged compressed file ({error}); fetch or compress it again") from None


def decompressed(path: Path, raw: IO[bytes]) -> io.BufferedReader:
    """The plain bytes of the open file ``raw``; the suffix of ``path`` says how it is compressed."""
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        return cast("io.BufferedReader", raw)
    return io.BufferedReader(cast("io.RawIOBase", opener(raw)), 1 << 18)


class _ZstandardFile(io.RawIOBase):
    """Frames one after another. Unlike the library's own reader, it sees when the last one is cut off."""

    def __init__(self, raw: IO[bytes]) -> None:
        import zstandard

        super().__init__()
        self._raw, self._new = raw, zstandard.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._stored, self._plain = b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain:
            self._stored = self._stored or self._raw.read(1 << 14)
            if not self._stored:
                if self._frame is not None:
                    raise EOFError("it ends inside a frame")
                return 0
            self._frame = self._frame or self._new()
            self._plain, self._stored = self._frame.decompress(self._stored), b""
            if self._frame.eof:
                self._stored, self._frame = self._frame.unused_data, None
        taken = min(len(buffer), len(self._plain))
        buffer[:taken], self._plain = self._plain[:taken], self._plain[taken:]
        return taken


_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".xz": lzma.LZMAFile,
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".bz2": bz2.BZ2File,
    ".zst": _ZstandardFile,
}


def _damage() -> tuple[type[Exception], ...]:
    import zstandard

    return lzma.LZMAError, EOFError, OSError, zlib.error, zstandard.ZstdError


def text_lines(
    path: Path, encoding: str, issues: Issues, position: Position | None = None, limit: int = LINE_BYTES
) -> Iterator[Line]:
    """The lines of ``path``, each at most ``limit`` bytes (longer ones in pieces with ``complete`` False).

    Bytes outside the encoding are dropped and their line is counted in ``issues``; U+FFFD marks never reach
    the text.

    Raises:
        UserError: damaged file; UTF-16; or so many broken lines that the encoding must be another one.
    """
    broken = 0
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    with open_bytes(path, position) as stream:
        number, complete = 0, True
        while raw := stream.readline(limit):
            number += complete
            if number == 1 and complete:
                raw = _without_mark(path, raw)
            complete = raw.endswith(b"\n")
            try:
                text = decoder.decode(raw, complete)
            except UnicodeDecodeError as error:
                decoder.reset()
                broken += 1
                found = error.object[error.start : error.end].hex(" ")
                issues.add("broken_lines", f"{path}:{number}: bytes {found} are not {encoding}; dropped")
                if broken > 20 and broken > _BROKEN_SHARE * number:
                    raise UserError(
                        f"{path}:{number}: {broken} of the first {number} lines are not {encoding}"
                        f"{_suggest(raw)}; set `encoding` of this source"
                    ) from None
                text = raw.decode(encoding, errors="ignore")
            yield Line(number, text.rstrip("\r\n"), complete)
        try:
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            issues.add("broken_lines", f"{path}:{number}: ends inside a character; dropped")


def _without_mark(path: Path, raw: bytes) -> bytes:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(
            f"{path}: is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8 {path.name} > {path.stem}.new.txt"
        )
    return raw.removeprefix(codecs.BOM_UTF8)


def _suggest(raw: bytes) -> str:
    for encoding in ("utf-8", "gb18030", "big5"):
        try:
            raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        return f" (this one reads as {encoding})"
    return ""
