"""Where a bundle goes, and whether what it is made from is there: told before torch is imported."""

from __future__ import annotations

from pathlib import Path

from training.checkpoint_directory import read_checkpoint_values
from training.errors import UserError
from training.export.config import ExportConfig
from training.files import require_paths


def check_paths(config: ExportConfig) -> None:
    """Refuse what cannot be exported or written by its path alone.

    Raises:
        UserError: see ``target_directory`` and ``read_checkpoint_values``; a file that does not exist.
    """
    target_directory(config)
    for checkpoint in (config.checkpoint, config.generator):
        if checkpoint is not None:
            read_checkpoint_values(Path(checkpoint))
    require_paths((*config.texts, config.test_data, config.calibration_data))


def target_directory(config: ExportConfig) -> Path:
    """``<models_dir>/<name>/<version>``, with the next free number where ``version`` is not given.

    Raises:
        UserError: a version that exists.
    """
    parent = Path(config.models_dir) / config.name
    if config.version is not None:
        if (parent / config.version).exists() and not config.replace:
            raise UserError(
                f"{parent / config.version}: exists; leave `version` out for the next free number, or set "
                "`replace`"
            )
        return parent / config.version
    taken = (
        [int(path.name) for path in parent.glob("[0-9]*") if path.name.isdecimal()] if parent.is_dir() else []
    )
    return parent / str(max(taken, default=0) + 1)
