"""What counts as a version on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.registry.repository import fingerprint, scan


def put(root: Path, *bundles: str) -> None:
    for bundle in bundles:
        (root / bundle).mkdir(parents=True)
        (root / bundle / "bundle.json").write_text("{}")


def test_versions_are_ordered_as_numbers(tmp_path: Path) -> None:
    put(tmp_path, "b/9", "b/10", "b/2", "a/1.9", "a/1.10")
    assert scan(tmp_path).versions == {"a": ["1.10", "1.9"], "b": ["10", "9", "2"]}


def test_only_finished_bundles_count(tmp_path: Path) -> None:
    put(tmp_path, "a/1", "a/.2", "a/3.tmp", ".hidden/1", "b.tmp/1")
    (tmp_path / "a" / "4").mkdir()
    (tmp_path / "a" / "5").write_text("a file")
    (tmp_path / "README.md").write_text("a file")
    (tmp_path / "empty").mkdir()
    assert scan(tmp_path).versions == {"a": ["1"]}


def test_no_directory_has_no_models(tmp_path: Path) -> None:
    assert scan(tmp_path / "nowhere").versions == {}


def test_what_cannot_be_read_is_named_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a/1", "a/2", "b/1", "lost+found/1")
    iterdir, is_file = Path.iterdir, Path.is_file

    def refusing_list(path: Path) -> object:
        if path.name in ("b", "lost+found"):
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    def refusing_look(path: Path) -> bool:
        if path.parent.name == "2":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "iterdir", refusing_list)
    monkeypatch.setattr(Path, "is_file", refusing_look)
    found = scan(tmp_path)
    assert found.versions == {"a": ["1"]}
    assert set(found.unreadable) == {("a", "2"), ("b", "")}
    assert all("Permission denied" in why for why in found.unreadable.values())


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "more/statistics.npz"])
def test_a_fingerprint_changes_with_every_file(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a/1")
    file = tmp_path / "a/1" / name
    before = fingerprint(tmp_path / "a/1")
    assert before == fingerprint(tmp_path / "a/1") == scan(tmp_path, [("a", "1")]).marks["a", "1"]
    file.parent.mkdir(exist_ok=True)
    file.write_text("{ }")
    written = fingerprint(tmp_path / "a/1")
    assert written != before
    os.chmod(file, 0o600)
    assert fingerprint(tmp_path / "a/1") != written, "who may read it counts too"
    assert fingerprint(tmp_path / "a/2") != before
