"""The contract: its graphs, its versions."""

from pathlib import Path

import pytest

from app import bundle as b
from app.bundle_files import read_bundle
from tests.toy import toy_bundle


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return toy_bundle(tmp_path, "toy")


def test_what_is_not_offered_is_said(root: Path) -> None:
    bundle = read_bundle(root)
    with pytest.raises(b.BundleError, match="has no int8 model graph; choose one of: fp32"):
        bundle.graph_file(precision="int8")


def test_versions_sort_as_numbers() -> None:
    assert sorted(["10", "9", "1.10", "1.9", "2"], key=b.version_key) == ["1.9", "1.10", "2", "9", "10"]
    assert sorted(["²", "1²", "v²", "2", "٣"], key=b.version_key) == ["1²", "2", "v²", "²", "٣"]
