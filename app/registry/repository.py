"""The model repository on disk: ``models/<name>/<version>/bundle.json``. Reads names only, opens no
bundle."""

from __future__ import annotations

from pathlib import Path

from app.bundle import MANIFEST_NAME, version_key


def scan(models_dir: Path) -> dict[str, list[str]]:
    """Versions on disk by model name, the highest first.

    A directory counts once its ``bundle.json`` is there, which is written last. Names that start with a dot
    or end in ``.tmp`` are somebody's copying in progress. A missing ``models_dir`` has no models.
    """
    found: dict[str, list[str]] = {}
    for model in _directories(models_dir):
        versions = [entry.name for entry in _directories(model) if (entry / MANIFEST_NAME).is_file()]
        if versions:
            found[model.name] = sorted(versions, key=version_key, reverse=True)
    return found


def _directories(parent: Path) -> list[Path]:
    try:
        entries = sorted(parent.iterdir())
    except OSError:
        return []
    return [entry for entry in entries if not _in_progress(entry.name) and entry.is_dir()]


def _in_progress(name: str) -> bool:
    return name.startswith(".") or name.endswith(".tmp")


def fingerprint(bundle_dir: Path) -> tuple[int, int, int] | None:
    """Changes when ``bundle.json`` is written again; None when it is gone."""
    try:
        status = (bundle_dir / MANIFEST_NAME).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
