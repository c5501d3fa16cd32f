"""One toy encoder for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.tasks.local import local_model
from app.tasks.model import ServedModel
from tests.toy import toy_bundle


@pytest.fixture(scope="session")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_bundle(tmp_path_factory.mktemp("models"), "toy", max_tokens=32)


@pytest.fixture(scope="session")
def model(bundle_dir: Path) -> ServedModel:
    return local_model(bundle_dir, threads=1)
