"""What class of machine this is; figures mean nothing without it."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from app.runtime.threads import available_threads
from training.bench.serve.results import Machine

_PACKAGES = ("onnxruntime", "openvino", "tokenizers", "fastapi", "uvicorn", "torch", "transformers")


def this_machine(root: Path = Path("/")) -> Machine:
    """Read from /proc; "unknown" where that does not say."""
    information = (root / "proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    fields = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in information.splitlines())
    }
    flags = set(fields.get("flags", "").split())
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return Machine(
        processor=fields.get("model name", platform.machine() or "unknown"),
        cpus=min(available_threads(), os.cpu_count() or 1),
        vectors=vectors,
        amx="amx_bf16" in flags,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        software=", ".join([f"Python {platform.python_version()}", *_versions()]),
        date=date.today().isoformat(),
    )


def _versions() -> list[str]:
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found
