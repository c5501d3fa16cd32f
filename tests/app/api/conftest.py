"""Toy models, opened once for all tests of the API."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service import FixedModels, fixed_models


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def models(models_dir: Path) -> FixedModels:
    return fixed_models(models_dir)
