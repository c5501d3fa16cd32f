"""Is a run done already, and what else stands in its place: a model to replace, checkpoints of other runs."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import math
from pathlib import Path
from typing import Any

from training.finetune.config import FinetuneConfig
from training.finetune.data import RunData

REPORT_NAME = "finetune.json"
_FREE = ("threads", "baselines")  # the result does not depend on them


def fingerprint_of(config: FinetuneConfig, data: RunData) -> str:
    """What the result depends on: settings, data, and what else is read: weights and look-alikes."""
    settings = dataclasses.asdict(config)
    for name in _FREE:
        settings.pop(name)
    digest = hashlib.sha256(json.dumps([settings, data.files], sort_keys=True, default=str).encode())
    corruption = config.corruption
    generator = corruption.generator_model if corruption else None
    for directory in filter(None, (config.checkpoint, config.teacher, generator)):
        for file in sorted(Path(directory).glob("*")):
            if file.suffix in (".safetensors", ".bin", ".json", ".txt"):
                digest.update(file.name.encode())
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
    if corruption and corruption.shape_sets:
        digest.update(Path(corruption.shape_sets).read_bytes())
    return digest.hexdigest()


def report_in(output_dir: Path) -> dict[str, Any]:
    """The report that stands there; empty where none does."""
    try:
        report = json.loads((output_dir / REPORT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def what_else(
    config: FinetuneConfig, found: dict[str, Any], fingerprint: str, output_dir: Path, work: Path
) -> list[str]:
    """What else is in the place of this run: a model that it replaces, checkpoints of other runs."""
    lines = []
    if found and found.get("fingerprint") != fingerprint:
        before = found.get("config") or {}
        now = json.loads(json.dumps(json_safe(dataclasses.asdict(config))))
        changed = [key for key in now if key in before and key not in _FREE and before[key] != now[key]]
        told = f"trained with another {', '.join(changed)}" if changed else "trained on other data or weights"
        lines.append(f"{output_dir}: the model there, {told}, will be replaced; stop now to keep it")
    others = sorted(output_dir.parent.glob(f"{glob.escape(output_dir.name)}.work-{'[0-9a-f]' * 12}"))
    kept = "keeps the checkpoints of a run of other settings; delete it if that run is over"
    return lines + [f"{other}: {kept}" for other in others if other != work]


def json_safe(value: Any) -> Any:
    """NaN becomes null: the report is read by strict parsers too."""
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
