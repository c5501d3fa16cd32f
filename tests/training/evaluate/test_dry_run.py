"""The made-up data is well-formed."""

from __future__ import annotations

from pathlib import Path

from training.evaluate.dry_run import write_clean, write_errors, write_summaries
from training.evaluate.summarization import read_summary_set
from training.tables import REPLACED, read_table

SENTENCES = [f"这是第{number}句话。" for number in range(12)]


def test_errors_are_marked_where_they_are(tmp_path: Path) -> None:
    write_errors(tmp_path / "errors.jsonl", SENTENCES)
    examples = read_table(tmp_path / "errors.jsonl", "error_detection").examples
    for example, sentence in zip(examples, SENTENCES, strict=True):
        for at, label in enumerate(example.labels):
            assert (label == REPLACED) == (example.text[at] != sentence[at])
    assert any(REPLACED in example.labels for example in examples)


def test_clean_text_and_summaries(tmp_path: Path) -> None:
    write_clean(tmp_path / "clean.jsonl", SENTENCES)
    assert read_table(tmp_path / "clean.jsonl", "error_detection").texts == SENTENCES
    write_summaries(tmp_path / "sum.jsonl", SENTENCES)
    data = read_summary_set(str(tmp_path / "sum.jsonl"))
    assert all(
        reference in document for document, reference in zip(data.documents, data.references, strict=True)
    )
