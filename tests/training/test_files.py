"""Whole or not there."""

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError

from training.errors import UserError
from training.files import atomic_directory, atomic_file, disk_is_full, only_one

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


@pytest.mark.parametrize("name", ["curves.png", "[1].png"])
def test_what_killed_processes_left_of_a_file_goes(tmp_path: Path, name: str) -> None:
    left = tmp_path / f".{name}.123456789.tmp"
    others = {tmp_path / f".{other}.tmp" for other in (f"{name}.notes", f"{name}.more.1", "other.1")}
    for file in (left, *others):
        file.write_text("half", encoding="utf-8")
    with atomic_file(tmp_path / name, "w") as stream:
        stream.write("all")
    assert set(tmp_path.iterdir()) == others | {tmp_path / name}


def test_a_file_that_another_process_is_writing_stays(tmp_path: Path) -> None:
    # No process of this number is here: it runs on another host or in another container.
    written = tmp_path / ".file.123456789.tmp"
    with written.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with atomic_file(tmp_path / "file"):
            assert written.exists()
    assert written.exists()


def test_a_file_is_locked_while_it_is_written(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "file"):
        (temporary,) = tmp_path.iterdir()
        with temporary.open("r+b") as again, pytest.raises(BlockingIOError):
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_temporary_file_deleted_before_its_lock_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = fcntl.flock, []

    def late(stream: object, how: int) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()  # as a process does that found it unlocked
        lock(stream, how)  # type: ignore[call-overload]

    monkeypatch.setattr(fcntl, "flock", late)
    with atomic_file(tmp_path / "file", "w") as stream:
        stream.write("all")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "all"


def test_a_directory_has_one_writer_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    source = (
        "import sys, time; from pathlib import Path; from training.files import only_one\n"
        "with only_one(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", source, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"held\n"
        with (
            pytest.raises(UserError, match="out: another process is writing there; wait for it to end, or"),
            only_one(tmp_path / "out"),
        ):
            pass
        running.kill()
    with only_one(tmp_path / "out"):
        (tmp_path / "out" / "file").touch()
    assert (tmp_path / "out" / "file").exists()


def test_a_directory_made_for_nothing_goes_and_one_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("made", "mine"):
        with contextlib.suppress(RuntimeError), only_one(tmp_path / name):
            raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with only_one(tmp_path / "made"):
        (tmp_path / "made" / "file").touch()
    assert (tmp_path / "made" / "file").exists()


def test_a_lock_that_its_holder_has_just_deleted_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def late(stream: object, how: int) -> None:
        (tmp_path / ".lock").unlink()
        lock(stream, how)  # type: ignore[call-overload]

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(UserError, match="another process is writing there"), only_one(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def none(stream: object, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    left = tmp_path / ".file.123456789.tmp"
    left.touch()
    with only_one(tmp_path), atomic_file(tmp_path / "file", "w") as stream:
        stream.write("all")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "all"
    assert left.exists(), "whether somebody writes it cannot be told"
