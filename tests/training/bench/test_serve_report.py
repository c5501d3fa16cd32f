"""Goals and tables follow from the measurements, and the document around them is left alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from training.bench.serve.cells import Cell
from training.bench.serve.engine import Ceiling
from training.bench.serve.goals import goals
from training.bench.serve.overload import Overload
from training.bench.serve.report import BEGIN, END, render, write_between_markers
from training.bench.serve.results import Machine, Results, Row, Variant
from training.errors import UserError


def cell(rate: float, p50: float = 0.01, wrong: int = 0, **fields: float) -> Cell:
    known = {"at_once": 0.9, "engine_rate": rate / 0.9, "padding": 1.05} | fields
    return Cell(rate, p50, 2 * p50, 100, wrong, "bad" if wrong else "", 7.5, 0.02, **known)  # type: ignore[arg-type]


def results(*, amx: bool = False) -> Results:
    machine = Machine("Some CPU", 2, "AVX2", amx, 8_000_000_000, "Python 3", "2026-01-01")
    ours = Variant(
        "this service",
        cells={
            "short": [cell(90), cell(180)],
            "mix": [cell(40), cell(80)],
            "alone": [cell(90, 0.0120), cell(90, 0.0240)],
            "lists": [cell(96), cell(196)],
        },
        peak_bytes=[200_000_000],
        backend="onnxruntime",
        precision="fp32",
        # The second round ran on a machine twice as fast: ratios within a round do not notice.
        ceilings=[
            Ceiling({1: 80.0, 8: 100.0}, 0.0110, together=110.0),
            Ceiling({1: 160.0, 8: 200.0}, 0.0230, together=210.0),
        ],
        plans=[{512: 50.0, 1024: 45.0}, {512: 100.0, 1024: 90.0}],
        engine_quiet=[True, True],
    )
    slow = Row("slow", cells={"short": [cell(45), cell(90)], "mix": [cell(30), cell(60)]})
    liar = Row("liar", cells={"short": [cell(900, wrong=3)] * 2, "mix": [cell(10)] * 2})
    return Results(
        machine,
        2,
        8.0,
        0.15,
        "a model",
        variants=[ours],
        peers=[slow, liar],
        default=("onnxruntime", "fp32"),
        peak_bytes=300e6,
        ready_seconds=4.0,
        overload=Overload(50, 150, 49, 0.6, 0, 0.99, 1.1, 10.0, 9.0, 0.01, 0.1),
    )


def found(state: Results) -> dict[str, tuple[str, str]]:
    return {goal.name: (goal.measured, goal.state) for goal in goals(state)}


def test_ratios_are_taken_within_a_round() -> None:
    lines = found(results())
    assert lines["onnxruntime fp32: served / raw ceiling, one text of 64 tokens a request"] == ("0.90", "met")
    assert lines["onnxruntime fp32: served / raw ceiling, 32 texts of 64 tokens a request"] == ("0.97", "met")
    assert lines["onnxruntime fp32: the mix, served / best offline plan"] == ("0.80", "missed")
    assert lines["onnxruntime fp32: one client alone, p50 above the bare engine call, ms"] == ("1.00", "met")


def test_a_peer_that_answers_wrongly_is_not_the_best() -> None:
    state = results()
    best = state.best_peer("short")
    assert best is not None
    assert best.name == "slow"
    assert found(state)["onnxruntime fp32: times the best peer on 64 tokens"] == ("2.00", "met")
    assert found(state)["onnxruntime fp32: times the best peer on the mix"] == ("1.33", "missed")


def test_goals_for_amx_are_tried_only_there() -> None:
    name = "default choice, on a machine with AMX: times the best peer on 64 tokens"
    assert found(results())[name] == ("no AMX here (onnxruntime fp32: 2.00)", "not tried")
    assert found(results(amx=True))[name] == ("2.00", "missed")


def test_what_was_not_measured_is_not_met() -> None:
    state = results()
    state.peers, state.overload, state.ready_seconds = [], None, math.nan
    states = {goal.name: goal.state for goal in goals(state)}
    assert states["process start to ready, s"] == "not tried"
    assert states["onnxruntime fp32: times the best peer on the mix"] == "not tried"
    assert states["overload at 3 times the peak"] == "not tried"


def test_only_quiet_rounds_judge() -> None:
    state = results()
    name = "onnxruntime fp32: the mix, served / best offline plan"
    state.variants[0].cells["mix"][0] = cell(5, quiet=False)
    assert found(state)[name] == ("0.80", "missed")
    state.variants[0].engine_quiet[1] = False
    assert found(state)[name][1] == "disturbed"
    assert found(state)["onnxruntime fp32: times the best peer on the mix"] == ("1.33", "missed")
    state.peers[0].cells["mix"][1] = cell(60, quiet=False)
    assert found(state)["onnxruntime fp32: times the best peer on the mix"][1] == "disturbed"
    state.overload_quiet = False
    assert found(state)["overload: goodput / peak"] == ("0.98", "disturbed")


def test_overload_has_its_goals() -> None:
    lines = found(results())
    assert lines["overload: goodput / peak"] == ("0.98", "met")
    assert lines["process start to ready, s"] == ("4.00", "missed")


def test_the_table_shows_every_server_and_marks_what_was_disturbed() -> None:
    state = results()
    noisy = [Cell(**{**each.__dict__, "quiet": False}) for each in state.peers[0].cells["mix"]]
    state.peers[0].cells["mix"] = noisy
    state.peers.append(Row("broken", failed="broken: ended with 1"))
    text = render(state)
    assert "| this service | 135 | 2.00 | 10 / 20 | 60 |" in text
    assert "~45" in text
    assert "| broken | not measured: broken: ended with 1" in text
    assert "was not quiet" not in text
    assert "liar, first wrong answer: `bad`" in text
    assert "without AMX" in text


def test_the_table_shows_what_two_batches_at_once_gain_by_themselves() -> None:
    row = next(line for line in render(results()).splitlines() if "two batches at once" in line)
    assert row.count("| 160 |") == 2


def test_a_report_from_a_noisy_machine_says_so_first() -> None:
    state = results()
    for row in [*state.variants, *state.peers]:
        row.cells = {
            load: [Cell(**{**each.__dict__, "quiet": False, "others": 0.8}) for each in cells]
            for load, cells in row.cells.items()
        }
    assert "16 of 16 runs were disturbed, others used 80 % of the CPUs" in render(state)


def test_only_the_place_between_the_markers_changes(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\n## After\n", encoding="utf-8")
    for _ in range(2):
        write_between_markers(document, "new | table")
        assert document.read_text(encoding="utf-8") == (
            f"# Title\n\n{BEGIN}\n\nnew | table\n\n{END}\n\n## After\n"
        )


@pytest.mark.parametrize("content", [None, "no markers", BEGIN])
def test_a_document_without_markers_is_an_error_and_stays(content: str | None, tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    if content is not None:
        document.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"benchmarks\.md"):
        write_between_markers(document, "new")
    assert content is None or document.read_text(encoding="utf-8") == content
