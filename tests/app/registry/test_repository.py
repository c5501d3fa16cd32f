"""What counts as a version on disk."""

from __future__ import annotations

from pathlib import Path

from app.registry.repository import fingerprint, scan


def put(root: Path, *bundles: str) -> None:
    for bundle in bundles:
        (root / bundle).mkdir(parents=True)
        (root / bundle / "bundle.json").write_text("{}")


def test_versions_are_ordered_as_numbers(tmp_path: Path) -> None:
    put(tmp_path, "b/9", "b/10", "b/2", "a/1.9", "a/1.10")
    assert scan(tmp_path) == {"a": ["1.10", "1.9"], "b": ["10", "9", "2"]}


def test_only_finished_bundles_count(tmp_path: Path) -> None:
    put(tmp_path, "a/1", "a/.2", "a/3.tmp", ".hidden/1", "b.tmp/1")
    (tmp_path / "a" / "4").mkdir()
    (tmp_path / "a" / "5").write_text("a file")
    (tmp_path / "README.md").write_text("a file")
    (tmp_path / "empty").mkdir()
    assert scan(tmp_path) == {"a": ["1"]}


def test_no_directory_has_no_models(tmp_path: Path) -> None:
    assert scan(tmp_path / "nowhere") == {}


def test_a_fingerprint_changes_with_the_manifest(tmp_path: Path) -> None:
    put(tmp_path, "a/1")
    before = fingerprint(tmp_path / "a/1")
    assert before == fingerprint(tmp_path / "a/1")
    (tmp_path / "a/1/bundle.json").write_text("{ }")
    assert before != fingerprint(tmp_path / "a/1")
    assert fingerprint(tmp_path / "a/2") is None
