import shutil
from pathlib import Path

import pytest
import torch

from tests.training.pretrain.run_here import prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokenizer and shards, made once."""
    return prepare(tmp_path_factory.mktemp("pretrain"))


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    """A directory of one's own with the tokenizer and shards in it."""
    for name in ("tokenizer", "shards"):
        shutil.copytree(prepared / name, tmp_path / name)
    return tmp_path


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
