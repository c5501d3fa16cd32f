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
        UserError: nothing to start from (see ``start_kind``, ``restore``).
    """
    kind = start_kind(source)
    if kind == "bundle":
        from training.restore.checkpoint import restore

        restored = [directory.name for directory in restore(source, output)]
        if "classifier" in restored:  # its encoder is what counts; a head of other labels is made anew
            (output / "classifier").rename(output / "discriminator")
        return [name.replace("classifier", "discriminator") for name in restored]
    names = ["discriminator"]
    if kind == "pretraining" and (source / "generator").is_dir():
        names.append("generator")
    with atomic_directory(output) as temporary:
        for name in names:
            shutil.copytree(source if kind == "checkpoint" else source / name, temporary / name)
        record = source / RECORD
        if record.is_file():
            shutil.copyfile(record, temporary / RECORD)
        else:
            with atomic_file(temporary / RECORD, "w", encoding="utf-8") as stream:
                json.dump({"origin": str(source), "tokens_seen": 0, "corpus_digest": "unknown"}, stream)
    return names
