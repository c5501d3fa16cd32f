"""A report: sections of text, tables and plots; written as Markdown for people and JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.bundle import Metric
from training.files import atomic_directory, refuse_to_replace

MARKDOWN, JSON = "report.md", "report.json"
Cell = str | int | float


@dataclass(frozen=True)
class ReportTable:
    """A table with a heading line above it."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def markdown(self) -> str:
        lines = [f"**{self.caption}**", "", _row(self.header), _row(["---"] * len(self.header))]
        return "\n".join([*lines, *(_row(row) for row in self.rows)])


@dataclass
class Section:
    """One part of the report. ``figures`` goes to JSON; ``plots`` are file names with what they show."""

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[ReportTable] = field(default_factory=list)
    plots: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)

    def markdown(self) -> str:
        parts = [f"## {self.title}", *self.text, *(table.markdown() for table in self.tables)]
        parts += [f"![{caption}]({name})" for name, caption in self.plots.items()]
        return "\n\n".join(parts)


@dataclass
class Report:
    """What was found out about one bundle.

    Attributes:
        bundle: name/version and precision.
        headline: the sentences that decide, first.
        passed: whether the bundle clears its bar; None where no bar was set.
        warnings: about the data.
    """

    bundle: str
    date: str
    headline: list[str] = field(default_factory=list)
    passed: bool | None = None
    warnings: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    @property
    def metrics(self) -> list[Metric]:
        return [metric for section in self.sections for metric in section.metrics]

    def markdown(self) -> str:
        parts = [f"# Evaluation of {self.bundle}", f"{self.date}"]
        parts += ["\n".join(f"- {line}" for line in self.headline)] if self.headline else []
        parts += ["Warnings:\n\n" + "\n".join(f"- {line}" for line in self.warnings)] if self.warnings else []
        return "\n\n".join([*parts, *(section.markdown() for section in self.sections)]) + "\n"

    def as_json(self) -> dict[str, Any]:
        return {
            "bundle": self.bundle,
            "date": self.date,
            "headline": self.headline,
            "passed": self.passed,
            "warnings": self.warnings,
            "metrics": [metric.model_dump(exclude_none=True) for metric in self.metrics],
            "sections": {section.title: section.figures for section in self.sections},
        }


def write_report(report: Report, plots: Path, directory: Path) -> None:
    """Write ``report.md``, ``report.json`` and the images in ``plots`` to ``directory``, all or nothing.

    Raises:
        UserError: the directory exists and holds something else, which would be lost.
    """
    refuse_to_replace(directory, JSON, "report")
    with atomic_directory(directory) as root:
        for image in sorted(plots.glob("*.png")):
            (root / image.name).write_bytes(image.read_bytes())
        (root / MARKDOWN).write_text(report.markdown(), encoding="utf-8")
        text = json.dumps(report.as_json(), ensure_ascii=False, indent=2, allow_nan=False)
        (root / JSON).write_text(text + "\n", encoding="utf-8")


def _row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(cell: Cell) -> str:
    text = f"{cell:.4f}" if isinstance(cell, float) else str(cell)
    return text.replace("|", "\\|").replace("\n", " ")
