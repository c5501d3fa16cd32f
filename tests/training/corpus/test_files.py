from __future__ import annotations

from pathlib import Path

import pytest

from training.corpus.config import SourceConfig
from training.corpus.files import document_mode, file_format, source_files
from training.errors import UserError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "text"),
        ("a.TXT.XZ", "text"),
        ("a.b.jsonl.zst", "jsonl"),
        ("a.tsv.gz", "tsv"),
        ("a.csv", "csv"),
        ("a.parquet", "parquet"),
        ("a.parquet.gz", None),
        ("a.xz", None),
        ("a.bin", None),
    ],
)
def test_formats(name: str, expected: str | None) -> None:
    assert file_format(Path(name)) == expected


def test_folders_and_globs(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "sub/c.jsonl", "sub/.hidden/x.txt", "README.md", "pixels.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    names = [file.name for file in source_files(SourceConfig(path=str(tmp_path)))]
    assert names == ["a.txt", "b.txt", "sub/c.jsonl"]
    assert [file.name for file in source_files(SourceConfig(path=f"{tmp_path}/*.txt"))] == ["a.txt", "b.txt"]
    assert [file.name for file in source_files(SourceConfig(path=f"{tmp_path}/b.txt"))] == ["b.txt"]


def test_mistakes(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "void").mkdir()
    (tmp_path / "void/a.txt").touch()
    (tmp_path / "image.png").write_text("x")
    for path, message in [
        ("nowhere", "nothing at"),
        ("empty", r"no \.txt.* file in"),
        ("void", "is empty"),
        ("image.png", "none of"),
        ("$NOT_SET_ANYWHERE/x", "not set"),
    ]:
        with pytest.raises(UserError, match=message):
            source_files(SourceConfig(path=f"{tmp_path}/{path}", name="s"))


def detect(folder: Path, contents: list[str]) -> list[str]:
    folder.mkdir()
    for number, content in enumerate(contents):
        (folder / f"{number:02}.txt").write_text(content)
    source = SourceConfig(path=str(folder))
    files = source_files(source)
    return [document_mode(source, files, file) for file in files]


def test_document_mode_is_detected_per_file(tmp_path: Path) -> None:
    assert detect(tmp_path / "a", ["one\ntwo\n\nthree\n", "one\ntwo\nthree\n"]) == ["blank", "line"]
    assert detect(tmp_path / "b", ["\n\none\ntwo\n\n"]) == ["line"]  # blank lines around are no separators
    assert detect(tmp_path / "c", ["one\ntwo\n"] * 10) == ["file"] * 10
    assert detect(tmp_path / "d", ["x" * 100_000 + "\n"] * 10) == ["line"] * 10
