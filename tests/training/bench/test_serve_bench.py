"""The whole benchmark on a toy model: real processes, every table filled, every answer right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.bench.serve.__main__ import main
from training.bench.serve.report import BEGIN, END


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_benchmark_runs_from_end_to_end(tmp_path: Path) -> None:
    document, figures = tmp_path / "benchmarks.md", tmp_path / "figures.json"
    document.write_text(f"# Benchmarks\n{BEGIN}\n{END}\n", encoding="utf-8")
    common = ["--toy", "--quick", "--work", str(tmp_path / "work"), "--document", str(document)]
    models = ["--models", str(tmp_path / "none")]
    assert main([*common, *models, "--peers", "fastapi-onnx", "--json", str(figures)]) == 0
    text = document.read_text(encoding="utf-8")
    for row in ("this service, onnxruntime fp32", "this service, onnxruntime int8", "fastapi-onnx"):
        assert f"| {row} | " in text
    assert "overload: goodput / peak" in text
    found = json.loads(figures.read_text(encoding="utf-8"))
    for row in [*found["variants"], *found["peers"]]:
        assert not row["failed"]
        cells = [cell for cells in row["cells"].values() for cell in cells]
        assert all(cell["rate"] > 0 and cell["checked"] > 0 and cell["wrong"] == 0 for cell in cells)
        assert all(0 < cell["cpu_ms"] < 1000 for cell in cells)
    for variant in found["variants"]:
        assert set(variant["cells"]) == {"short", "mix", "alone", "lists"}
        assert 1.0 <= variant["cells"]["mix"][0]["padding"] < 2.0
    assert found["default"][0] in ("onnxruntime", "openvino")
    assert found["peak_bytes"] > 10_000_000


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bundle", str(tmp_path / "models/none/1"), "--work", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("bench-serve: ")
    assert "models/none/1: does not exist" in said
    assert len(said.splitlines()) == 1
