"""A section of a YAML file as keys and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from training.errors import UserError


def read_section(path: Path, section: str) -> dict[str, Any]:
    """The keys under ``section`` of ``path``, or all of them where the file has no such section.

    Raises:
        UserError: no such file, not YAML, or no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file; check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not YAML ({' '.join(str(error).split())}); correct it") from None
    if isinstance(values, dict) and isinstance(values.get(section), dict):
        values = values[section]
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values
