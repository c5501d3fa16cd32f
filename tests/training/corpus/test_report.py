from __future__ import annotations

from dataclasses import asdict

from training.corpus.report import summary_table
from training.corpus.stages import Counts


def test_table_has_a_line_per_source_a_total_and_the_problems() -> None:
    one = {"weight": 2.0, "examples": ["a.txt:3: broken"], **asdict(Counts(documents=1000, tokens=50_000))}
    two = {"weight": 0.5, "examples": [], **asdict(Counts(documents=10, tokens=500, duplicates_near=3))}
    lines = summary_table({"one": one, "a_longer_name": two}).splitlines()
    assert lines[0].split()[:3] == ["source", "weight", "documents"]
    assert lines[1].split()[:3] == ["one", "2", "1,000"]
    assert lines[3].split()[:3] == ["total", "1,010", "0"]
    assert "50,500" in lines[3]
    assert len({len(line) for line in lines[:4]}) == 1  # aligned
    assert lines[4].strip() == "a.txt:3: broken"
