"""A machine that moved is found out."""

import pytest

from training.bench.pretrain import moved


@pytest.mark.parametrize(
    ("before", "after", "noisy"), [(100, 100, False), (100, 86, False), (100, 84, True), (84, 100, True)]
)
def test_what_counts_as_moved(before: float, after: float, noisy: bool) -> None:
    assert moved(before, after) is noisy
