"""Which files a source has, and what is in them."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.corpus.config import SourceConfig
from training.corpus.lines import COMPRESSED, Issues, text_lines
from training.errors import UserError

Format = Literal["text", "jsonl", "tsv", "csv", "parquet"]
FORMATS: dict[str, Format] = {
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tsv": "tsv",
    ".csv": "csv",
    ".parquet": "parquet",
}
_SAMPLE_LINES = 2000
_SMALL_FILE = 65_536
_MANY_FILES = 10


@dataclass(frozen=True)
class SourceFile:
    """One file of a source; ``name`` is its path relative to the source, the same on every machine."""

    path: Path
    name: str
    format: Format
    size: int  # bytes as stored
    modified: int  # nanoseconds


def file_format(path: Path) -> Format | None:
    """The format that the name of ``path`` says, a compression suffix aside; None for other files."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    found = FORMATS.get(suffixes[-1]) if suffixes else None
    return None if found == "parquet" and suffixes[-1] != path.suffix.lower() else found  # not seekable


def is_saved_data_set(path: Path) -> bool:
    """Whether ``path`` is a folder written by ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk``."""
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def source_files(source: SourceConfig) -> list[SourceFile]:
    """All files of a ``path`` source in sorted order.

    Raises:
        UserError: an unset variable in the path, nothing there, or no file of a known format.
    """
    root = source.expanded_path
    assert root is not None
    if "$" in str(root):
        raise UserError(
            f"source {source.name!r}: {root} names an environment variable that is not set; export it"
        )
    if root.is_file():
        if file_format(root) is None:
            raise UserError(f"source {source.name!r}: {root} is none of {_known()}")
        found, base = [root], root.parent
    elif root.is_dir():
        found, base = sorted(p for p in root.rglob("*") if p.is_file() and not _hidden(p, root)), root
    else:
        found = sorted(Path(name) for name in glob.glob(str(root), recursive=True))
        found = [
            p for path in found for p in (sorted(path.rglob("*")) if path.is_dir() else [path]) if p.is_file()
        ]
        fixed = re.split(r"[*?\[]", str(root))[0]
        base = Path(fixed) if fixed.endswith("/") else Path(fixed).parent
        if not found:
            raise UserError(f"source {source.name!r}: nothing at {root}; correct its path")
    files = []
    for path in found:
        if (kind := file_format(path)) is not None and not path.name.lower().startswith(
            ("readme.", "license")
        ):
            status = path.stat()
            name = path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
            files.append(SourceFile(path, name, kind, status.st_size, status.st_mtime_ns))
    if not files:
        raise UserError(f"source {source.name!r}: no {_known()} file in {root} ({len(found)} other files)")
    if not any(file.size for file in files):
        raise UserError(f"source {source.name!r}: every file in {root} is empty; put text there")
    return files


def folder_state(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of every file in a data set folder: changes when the data set does."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(p.relative_to(folder).as_posix(), p.stat().st_size, p.stat().st_mtime_ns) for p in files]


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _known() -> str:
    return f"{', '.join(FORMATS)} (also with {', '.join(COMPRESSED)})"


def document_mode(
    source: SourceConfig, files: list[SourceFile], file: SourceFile
) -> Literal["blank", "line", "file"]:
    """What one document is in the text ``file``; ``auto`` is decided from its first 2,000 lines.

    - A blank line between lines of text: paragraphs up to a blank line are a document (``blank``).
    - No blank line, and the source has at least 10 text files of 64 KiB or less on average: ``file``.
    - Otherwise every line is a document (``line``).
    """
    if source.documents != "auto":
        return source.documents
    blank_seen, blank_between = False, False
    for line in _head(file, source.encoding):
        if line.strip():
            if blank_seen:
                blank_between = True
                break
        else:
            blank_seen = True
    if blank_between:
        return "blank"
    texts = [other.size for other in files if other.format == "text"]
    return "file" if len(texts) >= _MANY_FILES and sum(texts) <= _SMALL_FILE * len(texts) else "line"


def _head(file: SourceFile, encoding: str) -> Iterator[str]:
    started = False
    for line in text_lines(file.path, encoding, Issues()):
        if line.number > _SAMPLE_LINES:
            return
        started = started or bool(line.text.strip())
        if started:
            yield line.text
