"""Where a bundle comes from: its recipe, what fine-tuning wrote beside the checkpoint, and the code."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import training
from app.bundle import Provenance
from training.export.config import ExportConfig


def provenance(config: ExportConfig, checkpoint: Path) -> Provenance:
    """The provenance of a bundle made from ``checkpoint``; data that ``config`` does not name are the tables
    of fine-tuning, and its machine comes after the one of ``config``.
    """
    machines = [*config.hardware.split(", then "), str(_fine_tuning(checkpoint).get("hardware", ""))]
    return Provenance(
        recipe=config.recipe or "none: exported from a checkpoint directory",
        code_revision=_code_revision(),
        corpus_digest=config.corpus_digest,
        tokens_seen=config.tokens_seen,
        hardware=", then ".join(dict.fromkeys(filter(None, machines))),
        licence=config.licence or "",
        date=date.today().isoformat(),
        data=list(config.data) or fine_tuning_data(checkpoint),
    )


def fine_tuning_data(checkpoint: Path, seen: frozenset[Path] = frozenset()) -> list[str]:
    """What the fine-tunings that made ``checkpoint`` learnt from, the first first, each table with its
    last folder: labelled rows, text that errors were made in, text that a teacher labelled. None where it was
    not fine-tuned here. ``seen`` are later ones: folders written in turns could lead back to them.
    """
    record = _fine_tuning(checkpoint)
    before = record.get("config", {})
    lines: list[str] = []
    if isinstance(before, dict) and "checkpoint" in before:
        earlier, seen = Path(before["checkpoint"]), seen | {checkpoint.resolve()}
        lines = [] if earlier.resolve() in seen else fine_tuning_data(earlier, seen)
    return [*lines, *(line for line in _tables(record) if line not in lines)]


def _tables(record: dict[str, Any]) -> list[str]:
    try:
        data = record["data"]
        tables = [
            (Path(table["path"]), table["rows"], table["sha256"])
            for kind in ("train", "corruption", "unlabelled")
            for table in data.get(kind, [])
        ]
    except (AttributeError, KeyError, TypeError):
        return []
    return [f"{_short(path)}: {rows} rows, sha256 {digest[:16]}" for path, rows, digest in tables]


def _fine_tuning(checkpoint: Path) -> dict[str, Any]:
    """``finetune.json`` beside a checkpoint of ours."""
    try:
        record = json.loads((checkpoint / "finetune.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _short(path: Path) -> str:
    """The file's name with that of its folder, which a path relative to here need not hold."""
    folder = (path.resolve() if path.exists() else path).parent.name
    return f"{folder}/{path.name}" if folder else path.name


def _code_revision() -> str:
    """The package's version, and the commit where it runs from a checkout."""
    version = importlib.metadata.version("electra-platform")
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=Path(training.__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}+{commit}"
