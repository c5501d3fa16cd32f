"""Export: from Hugging Face checkpoints to a verified bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.export.config import ExportConfig


def export(config: ExportConfig, *, progress: bool = True) -> Path:
    """Write one bundle and return its directory; see :func:`training.export.build.export`."""
    # Imported here so that the command's --help does not wait for torch.
    from training.export.build import export as build

    return build(config, progress=progress)
