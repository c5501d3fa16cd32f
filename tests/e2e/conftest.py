"""One server process for all tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Server, running
from tests.toy import toy_bundle


def standard_models(models_dir: Path) -> Path:
    """An encoder and two classifiers."""
    toy_bundle(models_dir, "encoder")
    toy_bundle(models_dir, "sentiment", task="classify")
    toy_bundle(models_dir, "topic", task="classify", labels=("sports", "economy", "world"), seed=1)
    return models_dir


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    models = standard_models(directory / "models")
    with running(
        models, directory / "run", header_timeout_s=1.0, body_timeout_s=1.5, admin_key="boss"
    ) as started:
        yield started


@pytest.fixture(scope="session")
def page_server(server: Server) -> str:
    """Address of the page, with its slash."""
    return server.url + "/"
