"""The keys of one verb, out of a file of its own or out of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.errors import UserError
from training.yaml_files import read_filled


def read_section(path: Path, section: str, bundle: str | None = None) -> dict[str, Any]:
    """The keys under ``section`` of ``path``, or all of them where the file has no such section.

    Of a recipe, whose bundles have a section each, those of ``bundle``. `extends`, `variables` and `${name}`
    work in every file as they do in a recipe.

    Raises:
        UserError: see ``read_filled``; a section of no keys and values; a recipe without that bundle.
    """
    values = read_filled(path)
    values.pop("variables", None)
    bundles = values.get("bundles")
    where = str(path)
    if section in values:
        values, where = values[section], f"{path}: {section}"
    elif isinstance(bundles, dict):
        if bundle not in bundles:
            why = "none of them is named" if bundle is None else f"{bundle!r} is none of them"
            raise UserError(
                f"{path}: a recipe of the bundles {', '.join(map(str, bundles))}, and {why}; "
                f"put the keys of bundles.NAME.{section} into a file of their own"
            )
        where = f"{path}: bundles.{bundle}.{section}"
        values = (bundles[bundle] or {}).get(section) or {}
    if not isinstance(values or {}, dict):
        raise UserError(f"{where}: expected keys and values, found {type(values).__name__}")
    return dict(values or {})


def bundle_name(directory: Path) -> str:
    """The name under which a recipe knows the bundle in ``directory``, which is ``<name>/<version>``."""
    return directory.resolve().parent.name
