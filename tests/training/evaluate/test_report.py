"""Reports as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.bundle import Metric
from training.errors import UserError
from training.evaluate.report import Report, ReportTable, Section, write_report


def report() -> Report:
    section = Section(
        "Part",
        text=["Words."],
        tables=[ReportTable("Figures", ["name", "value"], [["a|b", 0.123456], ["c", 7]])],
        plots={"curve.png": "a curve"},
        figures={"a": 0.5},
        metrics=[Metric(data_set="d", split="test", n=3, metric="accuracy", value=0.5)],
    )
    return Report("x/1 (fp32)", "2026-01-01", ["Good."], True, ["beware"], [section])


def test_markdown_and_json(tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    plots.mkdir()
    (plots / "curve.png").write_bytes(b"image")
    write_report(report(), plots, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| a\\|b | 0.1235 |" in text
    assert "![a curve](curve.png)" in text
    assert text.index("Good.") < text.index("beware") < text.index("## Part")
    values = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert values["sections"] == {"Part": {"a": 0.5}}
    assert values["metrics"][0]["value"] == 0.5
    assert (tmp_path / "out" / "curve.png").read_bytes() == b"image"


def test_a_second_report_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    write_report(report(), tmp_path / "plots", tmp_path / "out")
    (tmp_path / "out" / "stale.png").write_bytes(b"")
    write_report(report(), tmp_path / "plots", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.json", "report.md"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(UserError, match="thesis: exists and holds no report"):
        write_report(report(), tmp_path / "plots", tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").exists()
