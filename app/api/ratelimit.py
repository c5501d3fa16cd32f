"""Token buckets, one for each caller."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_CALLERS = 100_000


class RateLimiter:
    """Each caller has a bucket of ``burst`` requests that refills at ``per_minute``.

    Beyond 100,000 callers those seen longest ago are forgotten: a flood of addresses cannot fill memory.

    Args:
        per_minute: requests a minute; 0 is no limit.
        burst: requests that may come at once.
        clock: monotonic seconds.
    """

    def __init__(self, per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60.0
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def enforced(self) -> bool:
        return self._rate > 0

    def take(self, caller: str) -> float:
        """Take one request out of the caller's bucket.

        Returns:
            0 when there was one, else the seconds until there is.
        """
        now = self._clock()
        level, since = self._buckets.pop(caller, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        wait = 0.0 if level >= 1 else (1 - level) / self._rate
        self._buckets[caller] = (level - 1 if level >= 1 else level, now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        return wait
