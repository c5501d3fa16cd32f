"""The workers' directory: where there is room, and gone with whoever made it."""

from __future__ import annotations

import fcntl
import os
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
    left, used, other = memory / "electra-left", memory / "electra-used", memory / "others"
    for directory in (left, used, other):
        (directory / "metrics").mkdir(parents=True)
    lock = os.open(used, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    with shared_directory() as first, shared_directory():
        assert first.exists()
    os.close(lock)
    assert not left.exists()
    assert used.exists()
    assert other.exists()
