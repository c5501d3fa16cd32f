"""Unlabelled text from lines and from tables."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from training.errors import UserError
from training.finetune.plain_text import read_texts


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".xz", lzma.compress), (".gz", gzip.compress)])
def test_lines_of_text(tmp_path: Path, suffix: str, pack: object) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(pack("一\n\n 二 \n".encode()))
    texts, digest = read_texts(path)
    assert texts == [(f"{path}, line 1", "一"), (f"{path}, line 3", "二")]
    assert len(digest) == 64


def test_the_text_column_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("id\tcontent\tbody\n1\t一\tx\n", encoding="utf-8")
    assert read_texts(path)[0] == [(f"{path}, line 2", "一")]
    assert read_texts(path, "body")[0] == [(f"{path}, line 2", "x")]
    with pytest.raises(UserError, match="no text column among id, content, body"):
        read_texts(path, "nothing")


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(UserError, match=r"a\.txt: no such file"):
        read_texts(path)
    packed = tmp_path / "a.txt.gz"
    packed.write_bytes(gzip.compress(b"text" * 100)[:12] + b"\xff" * 40)
    with pytest.raises(UserError, match=r"a\.txt\.gz: cannot be read .*copy the file again"):
        read_texts(packed)
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(UserError, match=r"a\.txt, line 2: not UTF-8"):
        read_texts(path)
    path.write_text(" \n")
    with pytest.raises(UserError, match=r"a\.txt: holds no text"):
        read_texts(path)
    broken = tmp_path / "a.txt.xz"
    broken.write_bytes(b"no xz")
    with pytest.raises(UserError, match="cannot be read"):
        read_texts(broken)
