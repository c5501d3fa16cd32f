"""What the scheduler counts."""

from app.scheduler.observer import Counts


def test_padding_is_computed_over_real_tokens() -> None:
    assert Counts().padding_ratio == 1.0, "nothing was padded yet"
    assert Counts(tokens=80, padded_tokens=100).padding_ratio == 1.25
