"""tokenizer.json and transformers must read the same ids out of a text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.bundle_files import read_bundle
from app.tasks.model import load_encoder
from app.text.encoder import TextEncoder
from training.errors import UserError
from training.export.tokenizers_agree import require_same_ids

DOCUMENTS = ["我们去吃饭。", "The food is GOOD!", "[MASK]好书", "新 旧１２"]


@pytest.fixture(scope="module")
def encoder(models: Path) -> TextEncoder:
    return load_encoder(read_bundle(models / "classifier" / "1"))


def test_the_checkpoints_own_files_agree(material: Path, encoder: TextEncoder) -> None:
    assert require_same_ids(material / "classifier", encoder.vocab_size, encoder, DOCUMENTS)


def test_a_changed_tokenizer_is_found_out(material: Path, encoder: TextEncoder, tmp_path: Path) -> None:
    directory = tmp_path / "changed"
    shutil.copytree(material / "classifier", directory)
    file = directory / "tokenizer.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = values["model"]["vocab"]
    vocabulary["我"], vocabulary["你"] = vocabulary["你"], vocabulary["我"]
    file.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(UserError, match=r"tokenizer files disagree: '我们去吃饭。' becomes"):
        require_same_ids(directory, encoder.vocab_size, encoder, DOCUMENTS)


def test_nothing_is_compared_where_transformers_reads_nothing_of_that_size(
    encoder: TextEncoder, tmp_path: Path
) -> None:
    assert not require_same_ids(tmp_path, encoder.vocab_size, encoder, DOCUMENTS)
