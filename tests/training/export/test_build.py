"""From checkpoints to bundles, whole."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ElectraForPreTraining, ElectraForSequenceClassification

from app.bundle import BundleError
from app.bundle_files import read_bundle
from app.scheduler.engine import RequestContext
from app.tasks.classify import classify
from app.tasks.detect import DetectOptions, detect_replaced
from app.tasks.local import local_model
from training.errors import UserError
from training.export import export
from training.export.config import ExportConfig
from training.tables import read_table
from training.tokenizer import load_tokenizer


def test_a_classifier_serves_what_the_checkpoint_computes(models: Path, material: Path) -> None:
    texts = ["我们去吃饭", "the food is good", "好" * 40]
    checkpoint = ElectraForSequenceClassification.from_pretrained(material / "classifier").eval()
    tokenizer = load_tokenizer(material / "classifier")
    model = local_model(models / "classifier" / "1", precision="fp32", threads=1)
    answers = asyncio.run(classify(model, texts, context=RequestContext()))
    for text, answer in zip(texts, answers, strict=True):
        with torch.no_grad():
            logits = checkpoint(torch.tensor([tokenizer.encode(text).ids])).logits[0]
        np.testing.assert_allclose(answer.probs, torch.softmax(logits, 0).numpy(), atol=1e-5)
        assert answer.label == checkpoint.config.id2label[int(logits.argmax())]


def test_an_encoder_detects_with_the_checkpoints_own_scores(models: Path, material: Path) -> None:
    text = "今天天风很好。"
    checkpoint = ElectraForPreTraining.from_pretrained(material / "discriminator").eval()
    ids = load_tokenizer(material / "discriminator").encode(text).ids
    with torch.no_grad():
        logits = checkpoint(torch.tensor([ids])).logits[0, 1:-1]
    model = local_model(models / "encoder" / "1", precision="fp32", threads=1)
    temperature = model.bundle.manifest.calibration.temperature
    options = DetectOptions(granularity="token", suggestions=2, threshold=0.0)
    (answer,) = asyncio.run(detect_replaced(model, [text], options, RequestContext()))
    expected = torch.sigmoid(logits / temperature).numpy()
    np.testing.assert_allclose([token.score for token in answer.tokens], expected, atol=1e-5)
    assert any(span.suggestions for span in answer.spans)


def test_the_manifest_holds_what_was_measured(models: Path) -> None:
    manifest = read_bundle(models / "encoder" / "1").manifest
    for precision in ("fp32", "int8"):
        assert 0 <= manifest.graphs["model"].quality[precision]["auroc"] <= 1
        assert 0 <= manifest.graphs["generator"].quality[precision]["masked_accuracy"] <= 1
    assert "own generator" in manifest.calibration.fitted_on
    assert manifest.pooling.statistics is not None
    assert manifest.vocab_size == load_tokenizer(models / "encoder" / "1").get_vocab_size()
    quality = read_bundle(models / "classifier" / "1").manifest.graphs["model"].quality
    assert quality["fp32"].keys() == {"accuracy", "macro_f1"}


def test_a_hub_directory_with_only_a_vocabulary_file_is_served(
    material: Path, settings: dict, tmp_path: Path
) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        shutil.copy(material / "classifier" / name, hub)
    config = ExportConfig(name="hub", checkpoint=str(hub), models_dir=str(tmp_path / "models"), **settings)
    model = local_model(export(config, progress=False), threads=1)
    (answer,) = asyncio.run(classify(model, ["好书"], context=RequestContext()))
    assert answer.num_classes == 2
    assert model.encoder.vocab_size == model.bundle.manifest.vocab_size > 100


def test_versions_count_up_and_a_taken_one_is_refused(models: Path, material: Path, settings: dict) -> None:
    directory = models.parent / "versions"
    (directory / "classifier" / "9").mkdir(parents=True)
    common = {"name": "classifier", "checkpoint": str(material / "classifier"), "models_dir": str(directory)}
    written = export(ExportConfig(**common, **settings), progress=False)
    assert written.name == "10"
    with pytest.raises(UserError, match=r"classifier/10: exists"):
        export(ExportConfig(version="10", **common, **settings), progress=False)
    again = ExportConfig(version="10", replace=True, licence="mit", **common, **settings)
    assert read_bundle(export(again, progress=False)).manifest.provenance.licence == "mit"


def test_one_precision_alone(material: Path, settings: dict, tmp_path: Path) -> None:
    common = {"checkpoint": str(material / "discriminator"), "models_dir": str(tmp_path)}
    for precision in ("int8", "fp32"):
        config = ExportConfig(name=precision, precisions=[precision], **common, **settings)
        bundle = read_bundle(export(config, progress=False))
        graph = bundle.manifest.graphs["model"]
        assert graph.files.keys() == {precision}
        assert sorted(path.name for path in bundle.path.glob("*.onnx")) == [graph.files[precision].path]
        assert "fp32" in graph.quality
    assert "generator" not in bundle.manifest.graphs
    assert "random tokens" in bundle.manifest.calibration.fitted_on


def test_int8_that_loses_too_much_is_refused_with_the_figure(
    material: Path, models: Path, settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A test set on which fp32 is always right.
    texts = read_table(material / "test.tsv").texts
    model = local_model(models / "classifier" / "1", precision="fp32", threads=1)
    answers = asyncio.run(classify(model, texts, context=RequestContext()))
    lines = [f"{answer.label}\t{text}" for text, answer in zip(texts, answers, strict=True)]
    (tmp_path / "right.tsv").write_text("label\ttext\n" + "\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setattr("training.export.precisions.quantize_graph", _ruin)
    strict = settings | {"allow_quality_loss": False}
    common = {
        "checkpoint": str(material / "classifier"),
        "test_data": str(tmp_path / "right.tsv"),
        "models_dir": str(tmp_path),
    }
    both = read_bundle(export(ExportConfig(name="both", **common, **strict), progress=False)).manifest
    assert both.graphs["model"].files.keys() == {"fp32"}
    assert both.graphs["model"].default_precision == "fp32"
    lost = both.graphs["model"].quality
    assert (lost["fp32"]["accuracy"], lost["int8"]["accuracy"]) == (1.0, 0.0)
    with pytest.raises(
        UserError, match=r"int8 has accuracy 0.0000 against 1.0000 .* more than 0.003; nothing"
    ):
        export(ExportConfig(name="only", precisions=["int8"], **common, **strict), progress=False)
    assert not list((tmp_path / "only").glob("*"))
    kept = read_bundle(export(ExportConfig(name="kept", **common, **settings), progress=False)).manifest
    assert kept.graphs["model"].files.keys() == {"fp32", "int8"}
    assert kept.graphs["model"].default_precision == "fp32", "what loses is offered, not served unasked"


def _ruin(source: Path, target: Path, feeds: object = None) -> None:
    """A quantisation that turns every decision round."""
    import onnx
    from onnx import helper

    model = onnx.load(source)
    last = next(node for node in model.graph.node if "logits" in node.output)
    last.output[0] = "upright"
    model.graph.node.append(helper.make_node("Neg", ["upright"], ["logits"]))
    onnx.save(model, target)


def test_an_export_that_is_killed_leaves_nothing_to_load(material: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; from training.export import export\n"
        "from training.export.config import ExportConfig\n"
        "from training.export import build\n"
        "build.choose_precisions = lambda draft: (print('half', flush=True), time.sleep(60))\n"
        "export(ExportConfig(name='killed', checkpoint=sys.argv[1], models_dir=sys.argv[2],\n"
        "                    texts=[sys.argv[3]], parity_texts=5, threads=1), progress=False)\n"
    )
    arguments = [str(material / "classifier"), str(tmp_path), str(material / "text.txt")]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=20)
    process.stdout.close()
    left = list((tmp_path / "killed").iterdir())
    assert left
    assert all(path.name.startswith(".") for path in left)
    for path in left:
        with pytest.raises(BundleError):
            read_bundle(path)
    deadline = time.monotonic() + 5
    while _alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    config = ExportConfig(
        name="killed",
        checkpoint=arguments[0],
        models_dir=str(tmp_path),
        texts=[arguments[2]],
        parity_texts=5,
        quality_rows=20,
        allow_quality_loss=True,
        threads=1,
    )
    assert export(config, progress=False).name == "1"
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["1"]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "generator"}, "is a generator"),
        ({"generator": "generator"}, "a classifier needs no generator"),
        ({"checkpoint": "discriminator", "generator": "classifier"}, "is a classifier, not a generator"),
        ({"checkpoint": "discriminator", "layers": [7]}, "layers: layer 7 does not exist"),
        ({"checkpoint": "absent"}, "no such checkpoint directory"),
        ({"texts": ["absent.txt"]}, "absent.txt"),
    ],
)
def test_mistakes_are_named(
    changes: dict, message: str, material: Path, settings: dict, tmp_path: Path
) -> None:
    paths = {
        key: str(material / value) for key, value in changes.items() if key in ("checkpoint", "generator")
    }
    values = {"name": "x", "checkpoint": str(material / "classifier"), "models_dir": str(tmp_path)}
    with pytest.raises(UserError, match=message):
        export(ExportConfig(**(values | settings | changes | paths)), progress=False)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_bar_moves_within_a_step(
    material: Path, settings: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ExportConfig(
        name="x", checkpoint=str(material / "discriminator"), models_dir=str(tmp_path), **settings
    )
    export(config, progress=True)
    shown = capsys.readouterr().err
    for step in ("parity", "precisions", "calibration"):
        assert re.search(rf"export: {step}:[^\r]*, [\d,]+ texts", shown), step
