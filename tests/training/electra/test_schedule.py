"""The product form: figures of google-research/electra with 10,000 warm-up steps of 1,000,000."""

import pytest

from training.electra.schedule import learning_rate


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.0), (5_000, 2.4875e-4), (10_000, 4.95e-4), (500_000, 2.5e-4), (1_000_000, 0.0)],
)
def test_decay_times_warmup(step: int, expected: float) -> None:
    assert learning_rate(step, 5e-4, 10_000, 1_000_000) == pytest.approx(expected, rel=1e-9)


def test_the_peak_is_never_reached() -> None:
    assert max(learning_rate(step, 5e-4, 100, 10_000) for step in range(10_000)) < 5e-4


def test_ends_at_the_fraction_asked_for() -> None:
    assert learning_rate(1000, 1.0, 0, 1000, end_fraction=0.1) == pytest.approx(0.1)
