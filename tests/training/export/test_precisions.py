"""What is kept, and that every precision is measured on the same rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.bundle_files import read_bundle
from app.runtime import open_session
from app.runtime.opening import openvino_installed
from app.runtime.openvino_session import amx_available
from training.export import export, precisions
from training.export.config import ExportConfig
from training.export.draft import Draft


@pytest.mark.parametrize("method", ["static", "best"])
def test_other_ways_to_int8(method: str, material: Path, settings: dict, tmp_path: Path) -> None:
    config = ExportConfig(
        name="x",
        checkpoint=str(material / "classifier"),
        models_dir=str(tmp_path),
        test_data=str(material / "test.tsv"),
        int8=method,
        **settings,
    )
    bundle = read_bundle(export(config, progress=False))
    assert bundle.manifest.graphs["model"].files.keys() == {"fp32", "int8"}
    assert sorted(path.name for path in bundle.path.glob("*.onnx")) == ["model.int8.onnx", "model.onnx"]


@pytest.mark.parametrize(("dynamic", "static", "kept"), [(0.8, 0.9, "static"), (0.9, 0.8, "dynamic")])
def test_the_better_of_two_ways_to_int8_is_kept(
    dynamic: float,
    static: float,
    kept: str,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draft = Draft(
        config=ExportConfig(name="x", checkpoint="y", int8="best"),
        root=tmp_path,
        manifest=read_bundle(models / "classifier" / "1").manifest,
        documents=[],
        pieces=[],
    )
    target = tmp_path / "model.int8.onnx"
    monkeypatch.setattr(precisions, "_feeds", lambda draft: [])
    monkeypatch.setattr(
        precisions,
        "quantize_graph",
        lambda source, target, feeds: target.write_text("dynamic" if feeds is None else "static"),
    )
    found = precisions._add_int8(
        draft, "model", lambda _: {"accuracy": {"dynamic": dynamic, "static": static}[target.read_text()]}
    )
    assert (target.read_text(), found) == (kept, {"accuracy": 0.9})


def test_without_a_test_set_int8_must_agree_with_fp32(material: Path, settings: dict, tmp_path: Path) -> None:
    config = ExportConfig(
        name="x", checkpoint=str(material / "classifier"), models_dir=str(tmp_path), **settings
    )
    quality = read_bundle(export(config, progress=False)).manifest.graphs["model"].quality
    assert quality["fp32"] == {"agreement": 1.0}
    assert 0.9 <= quality["int8"]["agreement"] <= 1.0


@pytest.mark.skipif(not openvino_installed(), reason="needs the openvino extra")
@pytest.mark.parametrize("limit", [0.5, -1.0])
def test_bf16_is_measured_on_the_same_file_and_refused_when_it_loses_too_much(
    limit: float, material: Path, settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.export.precisions.openvino_promising", lambda: True)
    config = ExportConfig(
        name="x",
        checkpoint=str(material / "classifier"),
        models_dir=str(tmp_path),
        test_data=str(material / "test.tsv"),
        precisions=["fp32"],
        max_accuracy_loss=limit,
        **settings | {"allow_quality_loss": False},
    )
    bundle = read_bundle(export(config, progress=False))
    graph = bundle.manifest.graphs["model"]
    assert graph.files.keys() == {"fp32"}
    assert graph.quality.keys() == {"fp32", "bf16"}
    assert abs(graph.quality["bf16"]["accuracy"] - graph.quality["fp32"]["accuracy"]) < 0.1
    assert graph.refused == (["bf16"] if limit < 0 else None)
    session = open_session(bundle, backend="openvino", threads=1)
    assert session.precision == ("bf16" if amx_available() and limit > 0 else "fp32")
