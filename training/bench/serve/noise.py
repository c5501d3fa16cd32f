"""Is the machine as it was? A fixed matrix multiply before and after each run, and who else used the CPUs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

_SIZE = 768
_REPEATS = 15
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Guarded(Generic[T]):
    """A result and how quiet the machine was.

    Attributes:
        moved: slowest of the multiplies around it over the quietest one of the session, minus 1.
        others: share of the CPUs that processes of others used meanwhile.
        discarded: attempts that were thrown away before.
        quiet: whether both stayed within the limit; false when all attempts were disturbed and this is the
            least disturbed one.
    """

    value: T
    moved: float
    others: float
    discarded: int
    quiet: bool


class NoiseGuard:
    """Repeats what was disturbed.

    Args:
        limit: share by which the multiply may be slower, and share of the CPUs that others may use.
        attempts: after which the least disturbed one is taken and marked.
        multiply: seconds of the fixed multiply; for tests.
        busy: CPU seconds that all processes and those of the benchmark's subject have used; for tests.
    """

    def __init__(
        self,
        limit: float,
        attempts: int,
        *,
        multiply: Callable[[], float] | None = None,
        busy: Callable[[], float] | None = None,
    ) -> None:
        self._limit = limit
        self._attempts = attempts
        self._multiply = multiply or multiply_seconds
        self._busy = busy or busy_cpu_seconds
        self.quietest = min(self._multiply() for _ in range(3))
        self.discarded = 0

    def run(self, measure: Callable[[], T], own_cpu_seconds: Callable[[], float]) -> Guarded[T]:
        """``measure()`` in a quiet moment.

        Args:
            own_cpu_seconds: CPU time used so far by what is measured, the benchmark itself not included.
        """
        best: Guarded[T] | None = None
        for attempt in range(self._attempts):
            before = self._multiply()
            at, busy, own = time.perf_counter(), self._busy(), own_cpu_seconds() + time.process_time()
            value = measure()
            wall = time.perf_counter() - at
            ours = own_cpu_seconds() + time.process_time() - own
            others = max(0.0, self._busy() - busy - ours) / (wall * (os.cpu_count() or 1))
            after = self._multiply()
            self.quietest = min(self.quietest, before, after)
            moved = max(before, after) / self.quietest - 1
            quiet = moved <= self._limit and others <= self._limit
            if best is None or max(moved, others) < max(best.moved, best.others):
                best = Guarded(value, moved, others, attempt, quiet)
            if quiet:
                return Guarded(value, moved, others, attempt, True)
            self.discarded += 1
            _log.info(
                "disturbed: the multiply moved by %.0f %%, others used %.0f %%", 100 * moved, 100 * others
            )
        assert best is not None
        return best


def multiply_seconds() -> float:
    """Median time of a float32 matrix multiply of fixed size."""
    matrix = np.random.default_rng(0).random((_SIZE, _SIZE), dtype=np.float32)
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def busy_cpu_seconds(root: Path = Path("/")) -> float:
    """CPU seconds that all processes of the machine have used, time stolen by its host included."""
    fields = (root / "proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, fields[:8])
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
