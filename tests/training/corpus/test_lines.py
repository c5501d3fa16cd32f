from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from training.corpus.lines import Issues, Position, text_lines
from training.errors import UserError

TEXT = "第一行\nsecond line\r\n\n最后一行没有换行"
LINES = [(1, "第一行", True), (2, "second line", True), (3, "", True), (4, "最后一行没有换行", False)]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", bytes),
        (".xz", lzma.compress),
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_every_compression_reads_the_same(tmp_path: Path, suffix: str, compress: object) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(compress(TEXT.encode()))  # type: ignore[operator]
    position = Position()
    assert [tuple(line) for line in text_lines(path, "utf-8", Issues(), position)] == LINES
    assert position.bytes == path.stat().st_size


@pytest.mark.parametrize("suffix", [".xz", ".gz", ".bz2", ".zst"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str) -> None:
    compress = {
        ".xz": lzma.compress,
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".zst": zstandard.ZstdCompressor().compress,
    }[suffix]
    content = compress(bytes(range(256)) * 400)
    truncated, wrong = tmp_path / f"cut.txt{suffix}", tmp_path / f"plain.txt{suffix}"
    truncated.write_bytes(content[: len(content) // 2])
    wrong.write_bytes(b"this is plain text, whatever the name says")
    for path in (truncated, wrong):
        with pytest.raises(UserError, match="damaged") as error:
            list(text_lines(path, "latin-1", Issues()))
        assert path.name in str(error.value)


@given(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), st.integers(8, 40))
def test_pieces_of_a_long_line_join_to_the_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, limit: int
) -> None:
    path = tmp_path_factory.mktemp("long") / "a.txt"
    path.write_text(f"{text}\nnext", encoding="utf-8")
    issues = Issues()
    lines = list(text_lines(path, "utf-8", issues, limit=limit))
    assert "".join(line.text for line in lines if line.number == 1) == text.removeprefix("\ufeff")
    assert lines[-1][:2] == (2, "next")
    assert issues.broken_lines == 0


def test_broken_bytes_are_dropped_and_reported_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    good = [f"第{number}行".encode() for number in range(100)]
    good[41] = "前".encode() + b"\xff\xfe" + "后".encode()
    path.write_bytes(b"\n".join(good) + b"\n\xe6\x88")
    issues = Issues()
    lines = list(text_lines(path, "utf-8", issues))
    assert lines[41].text == "前后"
    assert issues.broken_lines == 2
    assert f"{path}:42:" in issues.examples[0]
    assert f"{path}:101:" in issues.examples[1]


def test_another_encoding_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("这是一个国标编码的文件\n" * 200, encoding="gb18030")
    with pytest.raises(UserError, match=r"a\.txt:21: .*reads as gb18030.*set `encoding`"):
        list(text_lines(path, "utf-8", Issues()))
    assert next(text_lines(path, "gb18030", Issues())).text == "这是一个国标编码的文件"


def test_byte_order_marks(tmp_path: Path) -> None:
    marked, wide = tmp_path / "a.txt", tmp_path / "b.txt"
    marked.write_text("文字", encoding="utf-8-sig")
    wide.write_text("文字", encoding="utf-16")
    assert next(text_lines(marked, "utf-8", Issues())).text == "文字"
    with pytest.raises(UserError, match="UTF-16"):
        list(text_lines(wide, "utf-8", Issues()))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.txt: no such file"):
        list(text_lines(tmp_path / "nowhere.txt", "utf-8", Issues()))
