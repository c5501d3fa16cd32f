"""What a recipe starts from: a bundle, a pretraining's directory, or one ELECTRA checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from training.checkpoint_directory import start_kind
from training.errors import UserError
from training.files import atomic_directory, atomic_file
from training.pretrain.warmstart import RECORD


def gather(source: Path, output: Path) -> list[str]:
    """Put the networks of ``source`` into ``output`` as a pretraining leaves them: ``discriminator``,
    ``generator`` where there is one, and ``pretrain.json``. Returns their names.

    Raises:
        UserError: nothing to start from (see ``start_kind``, ``restore_start``).
    """
    kind = start_kind(source)
    if kind == "bundle":
        from training.restore.checkpoint import restore_start

        return [directory.name for directory in restore_start(source, output)]
    names = ["discriminator"]
    if kind == "pretraining" and (source / "generator").is_dir():
        names.append("generator")
    with atomic_directory(output) as temporary:
        for name in names:
            _copy(source if kind == "checkpoint" else source / name, temporary / name)
        with atomic_file(temporary / RECORD, "w", encoding="utf-8") as stream:
            json.dump(read_record(source), stream, indent=1)
    return names


def read_record(source: Path) -> dict[str, Any]:
    """What ``pretrain.json`` in ``source`` or beside it says of the weights; of those that have none, that
    nothing is known.

    Raises:
        UserError: it is damaged.
    """
    unknown = {"tokens_seen": 0, "corpus_digest": "unknown"}
    for file in (source / RECORD, source.parent / RECORD):
        if file.is_file():
            try:
                record = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise UserError(f"{file}: damaged ({error}); copy it anew, or take it away") from None
            if not isinstance(record, dict):
                raise UserError(f"{file}: no record of a pretraining; copy it anew, or take it away")
            return unknown | record
    return {"origin": str(source), **unknown}


def _copy(source: Path, target: Path) -> None:
    """Configuration, tokenizer and weights; what a trainer may have left beside them stays."""
    target.mkdir()
    for file in sorted(source.iterdir()):
        if file.is_file() and file.suffix in (".json", ".txt", ".safetensors", ".bin"):
            shutil.copyfile(file, target / file.name)
