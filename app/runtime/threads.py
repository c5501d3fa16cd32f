"""How many threads inference may use: this process's CPU quota and affinity, not the cores of the host.

onnxruntime sizes its pool to the host's cores and ignores ``OMP_NUM_THREADS`` and cgroups; in a container
with two CPUs of a large host that is dozens of threads fighting over two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def available_threads(root: Path = Path("/")) -> int:
    """Threads that can run at once here, at least 1: the least of affinity and cgroup quota, rounded down.

    Rounding down leaves a fraction of a CPU to the event loop; a thread too many would be throttled in the
    middle of a batch, and all others would wait for it.

    Args:
        root: where ``proc`` and ``sys`` are found; for tests.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        allowed = os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs that this process's cgroup and its parents allow (version 1 or 2); None without a limit."""
    quotas = [
        quota
        for directory in _cgroup_directories(root)
        for quota in (_quota_v2(directory), _quota_v1(directory))
        if quota is not None
    ]
    return min(quotas, default=None)


def _cgroup_directories(root: Path) -> Iterator[Path]:
    """Every directory whose limits hold for this process, from its own cgroup up to the mount."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        for mount in {"": [""], "cpu": ["cpu"]}.get(controllers, [controllers, "cpu"]):
            base = root / "sys/fs/cgroup" / mount
            inner = base / path.lstrip("/")
            # Inside a container the path is often the host's and is not there; the mount itself then is ours.
            while inner != base and base in inner.parents:
                yield inner
                inner = inner.parent
            yield base


def _quota_v2(directory: Path) -> float | None:
    fields = _read(directory / "cpu.max").split()
    if len(fields) != 2 or fields[0] == "max":
        return None
    return _ratio(fields[0], fields[1])


def _quota_v1(directory: Path) -> float | None:
    return _ratio(_read(directory / "cpu.cfs_quota_us"), _read(directory / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    try:
        microseconds, per = int(quota), int(period)
    except ValueError:
        return None
    return microseconds / per if microseconds > 0 and per > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
