"""The workers' directory: where there is room, and gone with whoever made it."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from app import shared
from app.shared import NoRoomError, shared_directory


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "memory"
    place.mkdir()
    monkeypatch.setattr(shared, "MEMORY", place)
    return place


def test_it_lies_in_memory_and_goes_at_the_end(memory: Path) -> None:
    with shared_directory() as directory:
        assert directory.parent == memory
        (directory / "file").touch()
    assert not directory.exists()


def test_without_room_in_memory_it_lies_in_the_temporary_folder(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr("app.shared.tempfile.gettempdir", lambda: str(other))
    monkeypatch.setattr(shared, "free_bytes", lambda place: 0 if place == memory else 2**30)
    with shared_directory() as directory:
        assert directory.parent == other
    monkeypatch.setattr(shared, "free_bytes", lambda place: 2**20)
    with (
        pytest.raises(NoRoomError, match=r"8 MiB free; set TMPDIR to one that has, or ELECTRA_WORKERS to 1"),
        shared_directory(),
    ):
        pass


def test_a_machine_without_any_folder_for_temporary_files_is_told(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory")

    monkeypatch.setattr("app.shared.tempfile.gettempdir", nowhere)
    monkeypatch.setattr(shared, "free_bytes", lambda place: 0)
    with pytest.raises(NoRoomError, match="none can be written"), shared_directory():
        pass


def test_what_a_killed_service_left_behind_is_removed_and_what_is_in_use_stays(memory: Path) -> None:
    left, used, other = (memory / f"electra-workers-{name}" for name in ("left", "used", "other"))
    strangers = [memory / "electra-dry-run-x", memory / "electra-platform", other]
    for directory in (left, used, *strangers):
        (directory / "metrics").mkdir(parents=True)
    for directory in (left, used):
        (directory / "held").touch()
    with (used / "held").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        with shared_directory() as first, shared_directory():
            assert first.exists()
    assert not left.exists()
    assert used.exists()
    assert all(stranger.exists() for stranger in strangers)


def test_a_file_system_without_locks_will_do(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr("app.shared.fcntl.flock", unsupported)
    with shared_directory() as first, shared_directory():
        assert first.exists()
