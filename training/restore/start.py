"""What a recipe starts from: a bundle, a pretraining's directory, or one ELECTRA checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from training.checkpoint_directory import start_kind
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
        records = [folder / RECORD for folder in (source, source.parent) if (folder / RECORD).is_file()]
        if records:
            shutil.copyfile(records[0], temporary / RECORD)
        else:
            with atomic_file(temporary / RECORD, "w", encoding="utf-8") as stream:
                json.dump({"origin": str(source), "tokens_seen": 0, "corpus_digest": "unknown"}, stream)
    return names


def _copy(source: Path, target: Path) -> None:
    """Configuration, tokenizer and weights; what a trainer may have left beside them stays."""
    target.mkdir()
    for file in sorted(source.iterdir()):
        if file.is_file() and file.suffix in (".json", ".txt", ".safetensors", ".bin"):
            shutil.copyfile(file, target / file.name)
