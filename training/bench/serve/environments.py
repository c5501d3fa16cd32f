"""Throw-away environments for the peers: each has its own packages, and none is a dependency of the project.

What a peer has in common with this project (onnxruntime, torch, tokenizers, FastAPI) it finds in the
environment that the benchmark runs in, where the versions agree: the same engine for all, and no second copy
of torch. What does not agree is installed into the peer's own, which comes first.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from training.errors import UserError

_READY = "ready.json"


def environment(directory: Path, requirements: Sequence[str], *, alone: bool = False) -> Path:
    """The Python of an environment with ``requirements``, made unless it is there already.

    Args:
        alone: see nothing of the environment that the benchmark runs in.

    Raises:
        UserError: pip could not install them; the message is its last line.
    """
    python = directory / "bin" / "python"
    wanted = _fingerprint(requirements, alone)
    marker = directory / _READY
    if marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(directory, ignore_errors=True)
    _run([sys.executable, "-m", "venv", "--without-pip", str(directory)], directory.name)
    if not alone:
        site = directory / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    if requirements:
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        _run([*pip, *requirements], directory.name)
    marker.write_text(wanted, encoding="utf-8")
    return python


def _fingerprint(requirements: Sequence[str], alone: bool) -> str:
    shared = "" if alone else sysconfig.get_path("purelib")
    digest = hashlib.sha256(f"{sys.version}{shared}".encode()).hexdigest()
    return json.dumps({"requirements": list(requirements), "base": digest})


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise UserError(f"peer {name}: its environment could not be made: {lines[-1] if lines else command}")
