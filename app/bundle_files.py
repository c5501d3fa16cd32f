"""The bundle on disk: read and verified, its files described, its manifest written last."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

from pydantic import ValidationError

from app.bundle import MANIFEST_NAME, Bundle, BundleError, FileEntry, Manifest

# What a system or device says of itself, not of the file that was asked for.
_PASSING = frozenset(
    {
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ESTALE,
        errno.EAGAIN,
        errno.ETIMEDOUT,
        errno.EBUSY,
    }
)


def file_entry(root: Path, relative: str) -> FileEntry:
    """Describe ``root / relative`` for a manifest."""
    path = root / relative
    return FileEntry(path=relative, sha256=sha256_of(path), bytes=path.stat().st_size)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_bundle(path: Path, *, verify: bool = True, in_place: bool = True) -> Bundle:
    """Read and verify ``path/bundle.json``; with ``verify`` every file's size and checksum too, with
    ``in_place`` that it stands in a directory ``name/version``.

    Raises:
        BundleError: missing or malformed manifest, name or version that disagrees with the directory,
            missing file, changed byte.
        OSError: the device or the system failed, not the bundle.
    """
    manifest_path = path / MANIFEST_NAME
    try:
        raw = json.loads(manifest_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _no_manifest(path) from None
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, OSError) and error.errno in _PASSING:
            raise
        raise BundleError(manifest_path, f"cannot be read ({error})", "export the bundle again") from None
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "document"
        raise BundleError(
            manifest_path, f"key {key}: {first['msg']}", "fix the key or export again"
        ) from None
    if in_place and (manifest.name, manifest.version) != (path.parent.name, path.name):
        raise BundleError(
            manifest_path,
            f"says {manifest.name}/{manifest.version} but stands in {path.parent.name}/{path.name}",
            "move the directory or export again",
        )
    if verify:
        for entry in manifest.files():
            _verify_file(path, entry)
    return Bundle(path, manifest)


def _no_manifest(path: Path) -> BundleError:
    if not path.exists():
        return BundleError(path, "does not exist", "check the path")
    versions = sorted(path.glob(f"*/{MANIFEST_NAME}"), key=lambda file: (len(file.parent.name), file))
    if versions:
        return BundleError(path, "is not a bundle but holds bundles", f"give {versions[-1].parent}")
    return BundleError(path / MANIFEST_NAME, "is missing", "export the bundle again")


def _verify_file(root: Path, entry: FileEntry) -> None:
    file = root / entry.path
    if not file.is_file():
        raise BundleError(file, "is missing", "copy the whole bundle again")
    if not os.access(file, os.R_OK):
        raise BundleError(file, "cannot be read (permission denied)", "let the service's user read it")
    if file.stat().st_size != entry.bytes:
        raise BundleError(
            file,
            f"has {file.stat().st_size} bytes, bundle.json says {entry.bytes}",
            "copy the whole bundle again",
        )
    if sha256_of(file) != entry.sha256:
        raise BundleError(file, "differs from its checksum in bundle.json", "copy the whole bundle again")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write ``path/bundle.json`` last and atomically: without it the directory is no bundle."""
    temporary = path / f"{MANIFEST_NAME}.tmp"
    text = json.dumps(manifest.model_dump(mode="json", exclude_none=True), ensure_ascii=False, indent=2)
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(path / MANIFEST_NAME)
