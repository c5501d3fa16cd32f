"""Unlabelled text: .txt with one text per line (also .xz, .gz), or the text column of a table."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import zlib
from pathlib import Path

from training.errors import UserError
from training.tables import HEADER_NAMES
from training.tables.files import FORMATS, read_rows
from training.tokenizer import is_blank


def read_texts(path: Path, column: str | None = None) -> tuple[list[tuple[str, str]], str]:
    """Non-empty texts as (place, text), and the SHA-256 of the file.

    Raises:
        UserError: no such file, not UTF-8, no text column, or no text at all.
    """
    names = path.name.lower().removesuffix(".xz").removesuffix(".gz")
    if path.is_dir() or names.endswith(FORMATS):
        table = read_rows(path)
        wanted = [column] if column else list(HEADER_NAMES["text"])
        name = next((name for name in wanted if name in table.columns), None)
        if name is None:
            raise UserError(
                f"{path}: no text column among {', '.join(table.columns)}; name it in columns.text"
            )
        texts = [(f"{path}, {row.place}", str(row.cells.get(name) or "")) for row in table.rows]
        digest = table.digest
    else:
        raw = _read_bytes(path)
        digest = hashlib.sha256(raw[0]).hexdigest()
        try:
            lines = raw[1].decode("utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            line = raw[1].count(b"\n", 0, error.start) + 1
            raise UserError(f"{path}, line {line}: not UTF-8; convert the file to UTF-8") from None
        texts = [(f"{path}, line {number}", line) for number, line in enumerate(lines, 1)]
    kept = [(place, text.strip()) for place, text in texts if not is_blank(text)]
    if not kept:
        raise UserError(f"{path}: holds no text; give a file with one text per line")
    return kept, digest


def _read_bytes(path: Path) -> tuple[bytes, bytes]:
    """The file as it is, and unpacked."""
    try:
        raw = path.read_bytes()
        if path.suffix == ".xz":
            return raw, lzma.decompress(raw)
        if path.suffix == ".gz":
            return raw, gzip.decompress(raw)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); copy the file again") from None
    return raw, raw
