"""YAML files that people write: read with errors that name the place, built upon one another, and
with variables filled in.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from training.errors import UserError

_MERGE = "tag:yaml.org,2002:merge"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key written twice in one mapping, where YAML would silently keep the last alone."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        # Here the keys are still those that are written: `<<` adds others later, and may be overridden.
        node = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if (key.tag, key.value) in first:
                raise UserError(
                    f"{self.name}, line {line}: key {key.value!r} stands already in line "
                    f"{first[key.tag, key.value]}; rename or remove one"
                )
            first[key.tag, key.value] = line
        return node


def read_yaml(path: Path, before: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A YAML file that holds keys and values, over those of the file that it ``extends``, if it names one.

    Of two mappings the keys are merged; anything else replaces what stands in the file extended, and null
    takes it away. `~` and environment variables may stand in the name of the file extended.

    Raises:
        UserError: missing, not YAML (with line and column), a key written twice, not keys and values, or a
            circle of files.
    """
    if path.resolve() in before:
        raise UserError(f"{path}: extends itself, by way of {', '.join(str(file) for file in before)}")
    try:
        with path.open(encoding="utf-8") as file:
            raw = yaml.load(file, _UniqueKeys)
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


def read_filled(path: Path, overrides: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A YAML file whose `${name}` are replaced by its `variables`, the environment, or ``overrides``.

    Raises:
        UserError: see ``read_yaml``; an override of no variable; a variable without a value.
    """
    raw = read_yaml(path)
    variables = {str(key): str(value) for key, value in (raw.get("variables") or {}).items()}
    for key, value in (overrides or {}).items():
        if key not in variables:
            near = difflib.get_close_matches(key, variables, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(variables) or 'none'}"
            raise UserError(f"--set {key}: {path} has no such variable; {hint}")
        variables[key] = value
    variables |= {
        key: os.environ[key] for key in variables if key in os.environ and key not in (overrides or {})
    }
    filled: dict[str, Any] = _filled(raw, variables, path)
    return filled


def _filled(value: Any, variables: Mapping[str, str], path: Path) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, variables, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, variables, path) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in variables:
            raise UserError(f"{path}: ${{{name}}} has no value; name it under `variables`")
        return variables[name]

    return _VARIABLE.sub(replace, value)


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
