"""A stage whose inputs did not change is not run again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.bundle_files import sha256_of
from training.files import atomic_file


class LastStage(Exception):  # noqa: N818 - the run is asked to go no further
    """The stage that a run was to stop after is done."""


class StageLog:
    """Remembers, per stage, the digest of its inputs and what it gave; one small file a stage.

    Args:
        until: the stage after which to stop.
    """

    def __init__(
        self, directory: Path, *, until: str | None = None, report: Callable[[str], None] = print
    ) -> None:
        self._directory = directory
        self._until = until
        self._report = report

    def files_digest(self, paths: list[str]) -> list[tuple[str, str]]:
        """Name and SHA-256 of files (folders: of every file in them), to notice changed inputs.

        Files of a folder are named from there, so another way to write its path is no change, nor is a copy
        with new times. A file whose size and time are as they were is not read again.
        """
        path = self._directory / "digests.json"
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        found, before = [], dict(known)
        for text in paths:
            given = Path(text)
            for file in sorted(given.rglob("*")) if given.is_dir() else [given]:
                if file.is_file():
                    state = file.stat()
                    key = f"{file.absolute()} {state.st_size} {state.st_mtime_ns}"
                    if key not in known:
                        known[key] = sha256_of(file)
                    name = file.relative_to(given) if given.is_dir() else file
                    found.append((str(name), known[key]))
        if known != before:
            with atomic_file(path, "w", encoding="utf-8") as stream:
                json.dump(known, stream, ensure_ascii=False, indent=1)
        return found

    def run(
        self,
        name: str,
        inputs: Any,
        outputs: list[Path],
        work: Callable[[], Any],
        show: Callable[[], None] = lambda: None,
    ) -> Any:
        """Do ``work`` unless it was done with the same ``inputs`` and its ``outputs`` are still there, and
        ``show`` what came of it.

        Returns:
            What ``work`` returned (then or now); it must be JSON.

        Raises:
            LastStage: this was the one to stop after.
        """
        result = self._result(name, inputs, outputs, work)
        show()
        if name == self._until:
            raise LastStage(name)
        return result

    def _result(self, name: str, inputs: Any, outputs: list[Path], work: Callable[[], Any]) -> Any:
        digest = digest_of(inputs)
        record = self._record(name)
        if record.get("inputs") == digest and all(output.exists() for output in outputs):
            self._report(f"== {name}: unchanged, done on {record['finished']} in {record['seconds']:.0f} s")
            return record["result"]
        changed = record.get("inputs", digest) != digest
        again = f": its inputs changed since {record.get('finished')}, done again" if changed else ""
        self._report(f"== {name}{again}")
        begun = time.monotonic()
        result = work()
        record = {
            "inputs": digest,
            "finished": time.strftime("%Y-%m-%d %H:%M"),
            "seconds": round(time.monotonic() - begun, 1),
            "mark": uuid.uuid4().hex,
            "result": result,
        }
        with atomic_file(self._directory / f"{name}.json", "w", encoding="utf-8") as stream:
            json.dump(record, stream, ensure_ascii=False, indent=1)
        self._report(f"== {name}: done in {record['seconds']:.0f} s")
        return result

    def mark(self, name: str) -> str | None:
        """Another one each time that the stage is really done; None where there is none yet."""
        mark: str | None = self._record(name).get("mark")
        return mark

    def _record(self, name: str) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(
                (self._directory / f"{name}.json").read_text(encoding="utf-8")
            )
        except (OSError, ValueError):
            return {}
        return record


def digest_of(value: Any) -> str:
    """SHA-256 of ``value`` as canonical JSON; dataclasses and paths are understood."""

    def plain(item: Any) -> Any:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return dataclasses.asdict(item)
        if isinstance(item, Path):
            return str(item)
        raise TypeError(f"cannot digest {type(item).__name__}")

    text = json.dumps(value, default=plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
