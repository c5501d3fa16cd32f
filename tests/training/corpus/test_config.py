from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.config import from_mapping
from training.corpus.config import CorpusConfig, SourceConfig
from training.errors import UserError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sources": [{"path": "a", "wieght": 2}]}, "did you mean 'weight'"),
        ({"sources": [{"name": "a"}]}, "either 'path'"),
        ({"sources": [{"path": "a", "dataset": "b"}]}, "either 'path'"),
        ({"sources": [{"path": "a", "weight": 0}]}, "weight must be above 0"),
        ({"sources": [{"path": "a", "language": "fr"}]}, "'fr' is not allowed"),
        ({"sources": [{"path": "a", "encoding": "utf-9"}]}, "unknown encoding"),
        ({"sources": [{"path": "a", "name": "x/y"}]}, "use letters"),
        ({"sources": [{"path": "a", "name": "x.heldout"}]}, "is taken"),
        ({"sources": [{"path": "a/x.txt"}, {"path": "b/x.txt"}]}, "two sources are named 'x'"),
        ({"held_out": 1.0}, "held_out must"),
        ({"min_characters": 0}, "min_characters"),
        ({"shard_tokens": 3}, "shard_tokens"),
        ({"near_threshold": 0.2}, "near_threshold"),
        ({"deduplicate": "fuzzy"}, "'fuzzy' is not allowed"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        from_mapping(CorpusConfig, values, "my.yaml: corpus")
    assert "my.yaml: corpus" in str(error.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/raw/zh_wiki", "zh_wiki"),
        ("news.jsonl.xz", "news"),
        ("data/*.txt", "data"),
        ("我的文本/v1.2.txt", "v1.2"),
        ("user/data set", "data_set"),
        ("我的", "source"),
    ],
)
def test_default_names(path: str, name: str) -> None:
    assert SourceConfig(path=path).name == name


def test_variables_in_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTS", "/somewhere")
    assert SourceConfig(path="$TEXTS/a.txt").expanded_path == Path("/somewhere/a.txt")
