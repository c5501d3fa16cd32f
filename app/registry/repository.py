"""The model repository on disk: ``models/<name>/<version>/bundle.json``. Reads names only, opens no
bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.bundle import MANIFEST_NAME, version_key

Key = tuple[str, str]
"""Name and version of a bundle; the version is empty where all of a model is meant."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look through the repository found.

    Attributes:
        versions: on disk by model name, the highest first.
        unreadable: why the system let nobody see whether there is a bundle.
        marks: fingerprints of the versions that were asked for.
    """

    versions: dict[str, list[str]] = field(default_factory=dict)
    unreadable: dict[Key, str] = field(default_factory=dict)
    marks: dict[Key, object] = field(default_factory=dict)


def scan(models_dir: Path, marked: Iterable[Key] = ()) -> Found:
    """Look through the repository, and take the fingerprints of the versions in ``marked``.

    A directory counts once its ``bundle.json`` is there, which is written last. Names that start with a dot
    or end in ``.tmp`` are somebody's copying in progress. A missing ``models_dir`` has no models. One entry
    that cannot be read hides no other.

    Raises:
        OSError: ``models_dir`` is there and cannot be read.
    """
    found = Found()
    try:
        models = _entries(models_dir)
    except FileNotFoundError:
        return found
    for model in models:
        try:
            entries = _entries(model) if model.is_dir() else []
        except OSError as error:
            found.unreadable[model.name, ""] = _reason(error)
            continue
        versions = []
        for entry in entries:
            try:
                if (entry / MANIFEST_NAME).is_file():
                    versions.append(entry.name)
            except OSError as error:
                found.unreadable[model.name, entry.name] = _reason(error)
        if versions:
            found.versions[model.name] = sorted(versions, key=version_key, reverse=True)
    found.marks.update({key: fingerprint(models_dir.joinpath(*key)) for key in marked})
    return found


def _entries(parent: Path) -> list[Path]:
    return sorted(entry for entry in parent.iterdir() if not _passed_over(entry.name))


def _passed_over(name: str) -> bool:
    # The last is the file system's own, at the root of a volume, and nobody may read it.
    return name.startswith(".") or name.endswith(".tmp") or name == "lost+found"


def _reason(error: OSError) -> str:
    return f"cannot be read ({error}); let the service's user read it"


def fingerprint(bundle_dir: Path) -> object:
    """Changes when any file of the bundle comes, goes or changes, or who may read it."""
    marks = []
    for folder, _, names in os.walk(bundle_dir):
        for name in names:
            file = os.path.join(folder, name)
            try:
                status = os.stat(file)
            except OSError:
                continue
            marks.append((file, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(sorted(marks))
