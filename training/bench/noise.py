"""Is the machine quiet? A fixed matrix product before and after each measurement."""

from __future__ import annotations

import time

import torch

TOLERANCE = 0.15  # a rate that moved by more than this share spoils the measurement between


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
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
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


def moved(before: float, after: float) -> bool:
    """Whether two rates differ by more than the tolerance."""
    return abs(before - after) > TOLERANCE * max(before, after)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
