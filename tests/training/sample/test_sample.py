"""The sample that ships with the package: whole, small, and in the formats that its README promises."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import training
from training.corpus import CorpusConfig, SourceConfig, iter_documents, sample_texts
from training.corpus.cleaning import clean_text, detect_language

SAMPLE = Path(training.__file__).parent / "sample"


def rows(name: str) -> list[dict[str, str]]:
    with (SAMPLE / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_it_is_small_and_every_file_stands_in_the_readme() -> None:
    files = [path for path in SAMPLE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 500_000
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    for path in files:
        name = path.relative_to(SAMPLE).as_posix()
        assert name == "README.md" or name in readme or f"{path.parent.name}/{{train,dev,test}}.tsv" in readme


def test_text_reads_as_documents_in_both_languages() -> None:
    config = CorpusConfig(sources=(SourceConfig(path=str(SAMPLE / "text")),), held_out=0)
    documents = list(iter_documents(config, config.sources[0]))
    languages = [detect_language(document) for document in documents]
    assert languages.count("zh") > 180
    assert languages.count("en") > 30
    assert "other" not in languages
    assert max(map(len, documents)) < 10_000
    assert len(list(sample_texts(config, characters=20_000))) > 10


@pytest.mark.parametrize(("name", "labels"), [("category", 4), ("sentiment", 2)])
def test_tables_are_balanced_and_splits_share_no_text(name: str, labels: int) -> None:
    splits = {split: rows(f"{name}/{split}.tsv") for split in ("train", "dev", "test")}
    for table in splits.values():
        counts = [sum(row["label"] == label for row in table) for label in {row["label"] for row in table}]
        assert len(counts) == labels
        assert min(counts) == max(counts)
        assert all(row["text"] and row["text"] == clean_text(row["text"]) for row in table)
    texts = [row["text"] for table in splits.values() for row in table]
    assert len(texts) == len(set(texts))


def test_summaries() -> None:
    lines = (SAMPLE / "summarization/test.jsonl").read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in lines]
    assert len(items) >= 20
    assert all(len(item["document"]) > 5 * len(item["summary"]) > 0 for item in items)


def test_errors_are_where_they_are_said_to_be() -> None:
    chinese = [
        json.loads(line) for line in (SAMPLE / "errors/zh.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    for item in chinese:
        pairs = zip(item["text"], item["corrected"], strict=True)
        assert item["errors"] == [position for position, (wrong, right) in enumerate(pairs) if wrong != right]
    english = [
        json.loads(line) for line in (SAMPLE / "errors/en.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert all(0 <= position < len(item["tokens"]) for item in english for position in item["errors"])
    for items in (chinese, english):
        assert any(not item["errors"] for item in items)
        assert sum(bool(item["errors"]) for item in items) >= 10
