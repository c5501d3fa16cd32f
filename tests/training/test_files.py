"""Whole or not there."""

import contextlib
from pathlib import Path

import pytest
from safetensors import SafetensorError

from training.files import atomic_directory, atomic_file, disk_is_full

# As Python, safetensors 0.8 and torch 2.13 say it on a file system of 100 kB.
FULL_DISK = [
    OSError(28, "No space left on device"),
    OSError(122, "Disk quota exceeded", "/x/out"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
]


@pytest.mark.parametrize("error", FULL_DISK, ids=str)
def test_a_full_disk_is_known_whoever_writes(error: Exception) -> None:
    assert disk_is_full(error)


def test_other_errors_are_no_full_disk() -> None:
    assert not disk_is_full(OSError(5, "Input/output error"))
    assert not disk_is_full(RuntimeError("shape mismatch"))


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
