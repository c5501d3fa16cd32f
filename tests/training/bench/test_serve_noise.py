"""What was disturbed is repeated; what cannot be had quietly is marked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.bench.serve.noise import NoiseGuard, busy_cpu_seconds, multiply_seconds


def scripted(values: list[float]) -> Iterator[float]:
    yield from values


def guard(multiplies: list[float], attempts: int = 3, busy: list[float] | None = None) -> NoiseGuard:
    times = scripted([1.0, 1.0, 1.0, *multiplies])
    used = scripted(busy or [0.0] * 20)
    return NoiseGuard(0.1, attempts, multiply=lambda: next(times), busy=lambda: next(used))


def test_a_quiet_run_counts_at_once() -> None:
    found = guard([1.0, 1.05]).run(lambda: "first", lambda: 0.0)
    assert (found.value, found.discarded, found.quiet) == ("first", 0, True)
    assert found.moved == pytest.approx(0.05)


def test_a_disturbed_run_is_repeated() -> None:
    values = iter(["disturbed", "quiet"])
    watch = guard([1.0, 1.5, 1.0, 1.0])
    found = watch.run(lambda: next(values), lambda: 0.0)
    assert (found.value, found.discarded, found.quiet) == ("quiet", 1, True)
    assert watch.discarded == 1


def test_disturbance_before_the_run_counts_too() -> None:
    values = iter(["disturbed", "quiet"])
    assert guard([1.5, 1.0, 1.0, 1.0]).run(lambda: next(values), lambda: 0.0).value == "quiet"


def test_the_least_disturbed_is_taken_when_all_were_and_is_marked() -> None:
    values = iter(["worst", "least", "bad"])
    found = guard([1.0, 2.0, 1.2, 1.3, 1.0, 1.5]).run(lambda: next(values), lambda: 0.0)
    assert (found.value, found.quiet) == ("least", False)


def test_processes_of_others_disturb() -> None:
    # A thousand CPU seconds in a moment: others, whatever the multiply says.
    found = guard([1.0, 1.0], attempts=1, busy=[0.0, 1000.0]).run(lambda: 1, lambda: 0.0)
    assert not found.quiet
    assert found.others > 0.1


def test_what_is_measured_is_not_others() -> None:
    own = scripted([0.0, 1000.0])
    found = guard([1.0, 1.0], attempts=1, busy=[0.0, 1000.0]).run(lambda: 1, lambda: next(own))
    assert found.quiet


def test_the_quietest_moment_is_the_measure_of_all_later_ones() -> None:
    watch = guard([0.5, 0.5, 0.6, 0.6], attempts=1)
    assert watch.run(lambda: 1, lambda: 0.0).quiet
    assert watch.run(lambda: 1, lambda: 0.0).moved == pytest.approx(0.2)


def test_cpu_time_is_read_without_idling(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(
        "cpu  100 100 100 9999 9999 50 50 100 0 0\ncpu0 1\n", encoding="ascii"
    )

    assert busy_cpu_seconds(tmp_path) == pytest.approx(500 / os.sysconf("SC_CLK_TCK"))


def test_the_multiply_takes_time() -> None:
    assert multiply_seconds() > 0
