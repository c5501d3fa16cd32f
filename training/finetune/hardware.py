"""What the machine gives: threads that may be used, and whether bfloat16 pays."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from training.finetune.config import Precision

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_CPU_INFO = Path("/proc/cpuinfo")


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


def use_bf16(precision: Precision, device: torch.device | None = None) -> bool:
    """Whether to autocast to bfloat16. ``auto``: where the hardware multiplies it, elsewhere it is slower."""
    if precision != "auto":
        return precision == "bf16"
    if (device or default_device()).type == "cuda":
        return torch.cuda.is_bf16_supported()
    try:
        flags = _CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def default_device() -> torch.device:
    """CUDA where it is there, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def description(threads: int) -> str:
    """One line for reports: processor or GPU, threads, torch."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}"
    name = platform.processor() or platform.machine()
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return f"{name}, {threads} threads, torch {torch.__version__}"
