"""Random checkpoints and text, made once for all tests of the export."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.export import export
from training.export.config import ExportConfig
from training.export.dry_run import write_checkpoints, write_table, write_text


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``classifier``, ``discriminator``, ``generator`` directories, ``text.txt`` and ``test.tsv``."""
    directory = tmp_path_factory.mktemp("material")
    write_checkpoints(directory)
    write_text(directory / "text.txt")
    write_table(directory / "test.tsv")
    return directory


@pytest.fixture(scope="session")
def settings(material: Path) -> dict[str, object]:
    """Keys that every small export shares."""
    return {
        "texts": [str(material / "text.txt")],
        "parity_texts": 40,
        "quality_rows": 60,
        "threads": 1,
        "allow_quality_loss": True,
    }


@pytest.fixture(scope="session")
def models(material: Path, settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models directory with ``classifier/1`` and ``encoder/1``. Do not write into it."""
    directory = tmp_path_factory.mktemp("models")
    common = settings | {"models_dir": str(directory), "licence": "apache-2.0", "languages": ["zh", "en"]}
    export(
        ExportConfig(
            name="classifier",
            checkpoint=str(material / "classifier"),
            test_data=str(material / "test.tsv"),
            **common,
        ),
        progress=False,
    )
    export(
        ExportConfig(
            name="encoder",
            checkpoint=str(material / "discriminator"),
            generator=str(material / "generator"),
            **common,
        ),
        progress=False,
    )
    return directory
