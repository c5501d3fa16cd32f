"""What the machine gives: its name, processors that may be used, and whether bfloat16 pays."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_CPU_INFO = Path("/proc/cpuinfo")


def default_device() -> torch.device:
    """CUDA where it is there, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def granted_threads(quota_file: Path = _QUOTA) -> int:
    """Processors that this process may use: its affinity, and the container's quota where there is one."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text(encoding="ascii").split()
        if quota != "max":
            processors = min(processors, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no cgroup v2 here
    return processors


def native_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 in hardware: elsewhere it is emulated and far slower than
    float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(flag in _cpu_info() for flag in ("amx_bf16", "avx512_bf16"))


def hardware_name() -> str:
    """The processor or GPU of this machine, for model cards and reports."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    lines = (line for line in _cpu_info().splitlines() if line.startswith("model name"))
    named = next((line.split(":", 1)[1].strip() for line in lines), "")
    name = named or platform.processor() or platform.machine() or "CPU"
    return f"{name}, {granted_threads()} cores"


def _cpu_info() -> str:
    try:
        return _CPU_INFO.read_text(encoding="utf-8", errors="ignore")
    except OSError:  # another system
        return ""
