"""What one worker does, the others do; each change once."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from app.changes import Change, ChangeLog


@pytest.fixture
def logs(tmp_path: Path) -> tuple[ChangeLog, ChangeLog]:
    """Two workers' views of one log."""
    one, two = ChangeLog(tmp_path), ChangeLog(tmp_path)
    two._worker += 1
    return one, two


def test_each_hears_the_other_once(logs: tuple[ChangeLog, ChangeLog]) -> None:
    one, two = logs
    assert one.news() == two.news() == []
    one.append("pin", "sentiment", "1")
    two.append("unload", "topic", None)
    assert [(change.action, change.name, change.version) for change in two.news()] == [
        ("pin", "sentiment", "1")
    ]
    assert [change.action for change in one.news()] == ["unload"]
    assert one.news() == two.news() == []


def test_a_late_worker_hears_all(logs: tuple[ChangeLog, ChangeLog], tmp_path: Path) -> None:
    one, two = logs
    one.append("pin", "a", "1")
    two.append("pin", "b", "2")
    late = ChangeLog(tmp_path)
    late._worker = -1
    assert [change.name for change in late.news()] == ["a", "b"]


def test_of_two_that_change_a_model_at_once_the_later_line_holds_for_both(
    logs: tuple[ChangeLog, ChangeLog],
) -> None:
    one, two = logs
    one.append("unload", "a", None)
    one.append("pin", "b", "1")
    two.append("load", "a", None)
    assert [change.name for change in two.news()] == ["b"], "its own change of a came after"
    assert [(change.action, change.name) for change in one.news()] == [("load", "a")]


def test_a_change_is_overtaken_by_ones_own(logs: tuple[ChangeLog, ChangeLog]) -> None:
    one, two = logs
    two.append("load", "a", None)
    one.append("unload", "a", None)
    (change,) = two.news()
    assert not two.overtaken(change), "that of its own came before"
    two.append("load", "b", None)
    assert not two.overtaken(change)
    two.append("load", "a", None)
    assert two.overtaken(change)


def test_half_a_line_waits_for_its_rest(logs: tuple[ChangeLog, ChangeLog], tmp_path: Path) -> None:
    one, two = logs
    one.append("load", "a", None)
    file = tmp_path / "changes.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:10])
    assert two.news() == []
    file.write_bytes(whole)
    assert [change.name for change in two.news()] == ["a"]


def test_one_that_fails_does_not_stop_the_others(
    logs: tuple[ChangeLog, ChangeLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.changes.POLL_S", 0.01)
    one, two = logs
    applied: list[str] = []

    async def apply(change: Change) -> None:
        if change.name == "bad":
            raise RuntimeError("refused")
        applied.append(change.name)

    async def scenario() -> None:
        following = asyncio.create_task(two.follow(apply))
        for name in ("bad", "good"):
            one.append("load", name, None)
        await asyncio.sleep(0.1)
        one.append("load", "later", None)
        await asyncio.sleep(0.1)
        following.cancel()

    asyncio.run(scenario())
    assert applied == ["good", "later"]


def test_what_cannot_be_read_for_a_while_is_followed_afterwards(
    logs: tuple[ChangeLog, ChangeLog], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.changes.POLL_S", 0.01)
    one, two = logs
    applied: list[str] = []
    opened = Path.open

    def failing(path: Path, *args: object) -> object:
        raise OSError(24, "Too many open files", str(path))

    async def apply(change: Change) -> None:
        applied.append(change.name)

    async def scenario() -> None:
        one.append("load", "a", None)
        monkeypatch.setattr(Path, "open", failing)
        following = asyncio.create_task(two.follow(apply))
        await asyncio.sleep(0.1)
        monkeypatch.setattr(Path, "open", opened)
        await asyncio.sleep(0.1)
        assert not following.done()
        following.cancel()

    asyncio.run(scenario())
    assert applied == ["a"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR], "told once"


def test_a_line_that_says_nothing_hides_no_other(logs: tuple[ChangeLog, ChangeLog], tmp_path: Path) -> None:
    one, two = logs
    one.append("load", "a", None)
    with (tmp_path / "changes.jsonl").open("a") as stream:
        stream.write('{"half\n{"action": "load"}\n')
    one.append("load", "b", None)
    assert [change.name for change in two.news()] == ["a", "b"]


def test_a_late_worker_makes_the_last_change_of_each_model_only(logs: tuple[ChangeLog, ChangeLog]) -> None:
    one, two = logs
    applied: list[tuple[str, str, str | None]] = []

    async def apply(change: Change) -> None:
        applied.append((change.action, change.name, change.version))

    for version in ("1", "2", "3"):
        one.append("pin", "a", version)
    one.append("unload", "b", None)
    one.append("load", "b", None)
    one.append("unload", "a", None)
    asyncio.run(two.catch_up(apply))
    assert applied == [("unload", "a", None), ("load", "b", None)]
