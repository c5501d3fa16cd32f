"""The clock by which requests take turns: it runs slower the more of them share the engine.

This is the virtual time of weighted fair queueing (Demers, Keshav and Shenker, 1989), with every request a
flow of weight one. While ``n`` requests are in, the clock advances by one second in ``n``: the time in which
each of them is due one second of the engine.
"""

from __future__ import annotations


class FairClock:
    """Virtual seconds; never runs backwards."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._virtual = 0.0

    def read(self, now: float, requests: int) -> float:
        """Virtual time at ``now``, given that ``requests`` have shared the engine since the last reading."""
        self._virtual += max(0.0, now - self._at) / max(1, requests)
        self._at = max(self._at, now)
        return self._virtual
