"""What the machine gives: its name, bfloat16, and how fast it multiplies."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import torch

from app.runtime.threads import available_threads

_CPU_INFO = Path("/proc/cpuinfo")


def default_device() -> torch.device:
    """CUDA where it is there, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def native_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 in hardware: elsewhere it is emulated and far slower than
    float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return not cpu_flags().isdisjoint(("amx_bf16", "avx512_bf16"))


def cpu_flags() -> set[str]:
    """What the processor can do, in the words of Linux; nothing on other systems."""
    lines = (line for line in _cpu_info().splitlines() if line.startswith("flags"))
    return set(next(lines, "").partition(":")[2].split())


def hardware_name() -> str:
    """The processor or GPU of this machine, for model cards and reports."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    lines = (line for line in _cpu_info().splitlines() if line.startswith("model name"))
    named = next((line.split(":", 1)[1].strip() for line in lines), "")
    name = named or platform.processor() or platform.machine() or "CPU"
    return f"{name}, {available_threads()} cores"


def matmul_rate(
    dtype: torch.dtype, device: torch.device, sizes: tuple[int, ...] | None = None, seconds: float = 0.3
) -> float:
    """Operations per second of square matrix products, the best of what fits into ``seconds``.

    ``sizes`` None: as large as keeps a GPU busy; on a CPU also a size that stays in its caches, for
    the larger one is slowed by neighbours that use the memory.
    """
    sizes = sizes or ((8192,) if device.type == "cuda" else (1024, 2048))
    return max(_best(size, dtype, device, seconds / len(sizes)) for size in sizes)


def _best(size: int, dtype: torch.dtype, device: torch.device, seconds: float) -> float:
    random = torch.Generator(device).manual_seed(0)  # the caller's random numbers stay as they are
    left, right = (torch.randn(size, size, generator=random, device=device).to(dtype) for _ in range(2))
    best, until = 0.0, time.perf_counter() + seconds
    _ = left @ right
    while True:
        _synchronise(device)
        begun = time.perf_counter()
        _ = left @ right
        _synchronise(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - begun))
        if time.perf_counter() > until:
            return best


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _cpu_info() -> str:
    try:
        return _CPU_INFO.read_text(encoding="utf-8", errors="ignore")
    except OSError:  # another system
        return ""
