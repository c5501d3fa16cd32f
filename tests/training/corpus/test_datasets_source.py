from __future__ import annotations

from pathlib import Path

import datasets
import pytest

from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.readers import SourceReader
from training.errors import UserError


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def test_saved_data_sets(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"label": [0, 1], "text": ["一", "two"]})
    rows.save_to_disk(str(tmp_path / "plain"))
    datasets.DatasetDict({"train": rows, "test": rows.select([1])}).save_to_disk(str(tmp_path / "splits"))
    config = CorpusConfig()
    plain = SourceReader(SourceConfig(path=str(tmp_path / "plain")), config)
    assert list(plain) == ["一", "two"]
    assert plain.total_bytes is None
    assert plain.state
    assert list(SourceReader(SourceConfig(path=str(tmp_path / "splits"), split="test"), config)) == ["two"]
    with pytest.raises(UserError, match="no split 'dev'; there are: train, test"):
        list(SourceReader(SourceConfig(path=str(tmp_path / "splits"), split="dev"), config))
    with pytest.raises(UserError, match="row 1: no column 'body'; there are: label, text"):
        list(SourceReader(SourceConfig(path=str(tmp_path / "plain"), columns=("body",)), config))


def test_a_named_data_set_is_streamed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text('{"text": "一"}\n{"text": "two"}\n', encoding="utf-8")
    source = SourceConfig(dataset=str(tmp_path / "data"))
    assert list(SourceReader(source, CorpusConfig())) == ["一", "two"]


def test_a_data_set_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"source 'nowhere': data set .* cannot be opened"):
        list(SourceReader(SourceConfig(dataset=str(tmp_path / "nowhere")), CorpusConfig()))
