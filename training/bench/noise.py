"""Is the machine quiet? A fixed matrix product before and after each measurement."""

from __future__ import annotations

TOLERANCE = 0.15  # a rate that moved by more than this share spoils the measurement between


def moved(before: float, after: float) -> bool:
    """Whether two rates differ by more than the tolerance."""
    return abs(before - after) > TOLERANCE * max(before, after)
