"""Whole or not there."""

import contextlib
from pathlib import Path

from training.files import atomic_directory, atomic_file


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with atomic_file(target, "w", encoding="utf-8") as stream:
        stream.write("all")
        assert not target.exists()
    assert target.read_text(encoding="utf-8") == "all"
    with contextlib.suppress(RuntimeError), atomic_file(target, "w") as stream:
        stream.write("half")
        raise RuntimeError
    assert target.read_text(encoding="utf-8") == "all"
    assert list(target.parent.iterdir()) == [target]


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    for content in ("old", "new"):
        with atomic_directory(target) as temporary:
            (temporary / "a").write_text(content, encoding="utf-8")
    assert (target / "a").read_text(encoding="utf-8") == "new"
    with contextlib.suppress(RuntimeError), atomic_directory(target) as temporary:
        (temporary / "b").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [target]
