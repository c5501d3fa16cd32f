"""Two random bundles and made-up data to judge them by."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from training.export import export
from training.export.config import ExportConfig
from training.export.dry_run import LABELS, write_checkpoints, write_table, write_text
from training.export.texts import read_documents, sentences_of


def write_bundles(directory: Path) -> dict[str, dict[str, Any]]:
    """Write ``models/classifier/1`` and ``models/encoder/1`` and data for both.

    Returns:
        For each bundle, the keys of ``EvaluateConfig`` that name its data.
    """
    write_checkpoints(directory)
    write_text(directory / "text.txt")
    write_table(directory / "test.tsv", seed=0)
    write_table(directory / "train.tsv", seed=1)
    sentences = sentences_of(read_documents([str(directory / "text.txt")]))
    write_errors(directory / "errors.jsonl", sentences[:60])
    write_clean(directory / "clean.jsonl", sentences[60:80])
    write_summaries(directory / "summaries.jsonl", sentences[:60])
    common = {
        "models_dir": str(directory / "models"),
        "texts": [str(directory / "text.txt")],
        "parity_texts": 20,
        "quality_rows": 60,
        "allow_quality_loss": True,
        "licence": "apache-2.0",
    }
    classifier = {"checkpoint": str(directory / "classifier"), "test_data": str(directory / "test.tsv")}
    encoder = {
        "checkpoint": str(directory / "discriminator"),
        "generator": str(directory / "generator"),
        "calibration_data": str(directory / "errors.jsonl"),
    }
    for name, own in (("classifier", classifier), ("encoder", encoder)):
        export(ExportConfig(name=name, **(common | own)), progress=False)  # type: ignore[arg-type]
    return {
        "classifier": {"test": str(directory / "test.tsv"), "train": [str(directory / "train.tsv")]},
        "encoder": {
            "heldout": [str(directory / "text.txt")],
            "heldout_sentences": 60,
            "errors": [str(directory / "errors.jsonl")],
            "clean": [str(directory / "clean.jsonl")],
            "summaries": [str(directory / "summaries.jsonl")],
        },
    }


def write_errors(path: Path, sentences: list[str], seed: int = 0) -> None:
    """Sentences of which two thirds have one character replaced."""
    chance = random.Random(seed)
    lines = []
    for number, sentence in enumerate(sentences):
        errors = [chance.randrange(len(sentence))] if number % 3 else []
        text = "".join("" if at in errors else character for at, character in enumerate(sentence))
        for at in errors:
            text = text[:at] + chance.choice("".join(LABELS) + "我你他") + text[at:]
        wrong = [at for at in errors if text[at] != sentence[at]]
        lines.append(json.dumps({"text": text, "errors": wrong}, ensure_ascii=False))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_clean(path: Path, sentences: list[str]) -> None:
    """Sentences without errors."""
    lines = [json.dumps({"text": sentence, "errors": []}, ensure_ascii=False) for sentence in sentences]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_summaries(path: Path, sentences: list[str]) -> None:
    """Documents of six sentences, each with one of them as its summary."""
    lines = []
    for start in range(0, len(sentences) - 5, 6):
        six = sentences[start : start + 6]
        lines.append(json.dumps({"document": "".join(six), "summary": six[start % 5]}, ensure_ascii=False))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
