"""YAML files that people write: read with errors that name the place, and built upon one another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from training.errors import UserError


def read_yaml(path: Path, before: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A YAML file that holds keys and values, over those of the file that it ``extends``, if it names one.

    Of two mappings the keys are merged; anything else replaces what stands in the file extended, and null
    takes it away. `~` and environment variables may stand in the name of the file extended.

    Raises:
        UserError: missing, not YAML (with line and column), not keys and values, or a circle of files.
    """
    if path.resolve() in before:
        raise UserError(f"{path}: extends itself, by way of {', '.join(str(file) for file in before)}")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; check the path (recipes stand in training/recipes/)"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected keys and values at the top")
    extended = raw.pop("extends", None)
    if extended is None:
        return raw
    if not isinstance(extended, str):
        raise UserError(f"{path}: extends: name one file, beside this one or by its path from here")
    # Variables of the recipe are not known yet, and may stand in the file extended: these are the system's.
    below = path.parent / Path(os.path.expandvars(extended)).expanduser()
    merged: dict[str, Any] = _merged(read_yaml(below, (*before, path.resolve())), raw)
    return merged


def _merged(under: Any, over: Any) -> Any:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    merged = {key: value for key, value in under.items() if key not in over}
    return merged | {
        # A mapping over nothing is merged too: a null in it takes nothing away, and is none itself.
        key: _merged(under.get(key, {}) if isinstance(value, dict) else None, value)
        for key, value in over.items()
        if value is not None
    }
