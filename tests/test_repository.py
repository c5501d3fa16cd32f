"""What the repository carries beside its code: bundles that load, and stay small enough for a clone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.bundle import MANIFEST_NAME
from app.bundle_files import read_bundle

ROOT = Path(__file__).parents[1]
# Of everything under models/. A clone also carries what these versions replaced.
MOST_BYTES = 60_000_000


def shipped_files() -> list[Path]:
    """Files under models/: what git tracks, for someone may train into that folder, and outside of a
    checkout every file of a bundle.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "models"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        tracked = [ROOT / name for name in listed.stdout.rstrip("\0").split("\0")]
        return [file for file in tracked if file.is_file()]
    bundles = [file.parent for file in (ROOT / "models").glob(f"*/*/{MANIFEST_NAME}")]
    return [file for bundle in bundles for file in bundle.rglob("*") if file.is_file()]


SHIPPED = sorted({file.parent for file in shipped_files() if file.name == MANIFEST_NAME})


def test_the_bundles_stay_small() -> None:
    sizes = {file.relative_to(ROOT).as_posix(): file.stat().st_size for file in shipped_files()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    assert 0 < sum(sizes.values()) <= MOST_BYTES, f"take out an old version; the largest: {largest}"


@pytest.mark.parametrize("bundle", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_bundle_that_ships_is_whole(bundle: Path) -> None:
    manifest = read_bundle(bundle, verify=True).manifest
    known = {entry.path for entry in manifest.files()} | {MANIFEST_NAME}
    assert {file.name for file in shipped_files() if file.parent == bundle} == known
    # A data set a line, "name: what for (licence)": prose that was wrapped makes broken bullets.
    data = manifest.provenance.data
    assert data
    assert [line for line in data if ": " not in line] == []
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert [line for line in data if f"\n- {line}\n" not in card] == []
