"""Bundles whose parts do not fit each other are refused with one line that names the file."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer

from app import bundle as b
from app.bundle_files import file_entry
from app.registry import loading
from app.registry.loading import Loader, LoadOptions, load_in_thread, refusal
from app.scheduler.lane import Lane
from app.tasks.model import ServedModel, served_model
from app.text.sequence import TokenSequence
from tests.toy import toy_bundle


class NoEngine:
    """Loading needs somewhere to put the lanes, not to run them."""

    def __init__(self, lanes: Mapping[b.GraphName, Lane]) -> None:
        self.lanes = lanes


def assemble(bundle: b.Bundle, lanes: Mapping[b.GraphName, Lane]) -> ServedModel:
    return served_model(bundle, NoEngine(lanes))  # type: ignore[arg-type]


def loader(**options: Any) -> Loader:
    return Loader(LoadOptions(threads=1, **options), assemble)


def edit(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and vouch for the files as they are now."""
    manifest = json.loads((root / "bundle.json").read_text())
    change(manifest)
    for graph in manifest["graphs"].values():
        for precision, entry in graph["files"].items():
            graph["files"][precision] = file_entry(root, entry["path"]).model_dump()
    manifest["tokenizer"] = file_entry(root, "tokenizer.json").model_dump()
    (root / "bundle.json").write_text(json.dumps(manifest))


def nothing(manifest: dict[str, Any]) -> None:
    """The files were changed, the manifest's words stay."""


def edit_graph(root: Path, file: str, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(str(root / file))
    change(model)
    onnx.save(model, str(root / file))
    edit(root, nothing)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return toy_bundle(tmp_path, "encoder")


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return toy_bundle(tmp_path, "classifier", task="classify")


def refused(root: Path) -> str:
    with pytest.raises(b.BundleError) as error:
        loader().load(root)
    line = refusal(error.value)
    assert "\n" not in line
    assert "; " in line, "a refusal names its cure"
    return line


def test_a_good_bundle_has_a_lane_for_each_graph(encoder: Path) -> None:
    live = loader().load(encoder)
    assert set(live.lanes) == {"model", "generator"}
    info = live.graphs()["model"]
    assert (info.backend, info.precision) == ("onnxruntime", "fp32")
    assert info.tokens_per_second > 0
    assert live.version == "1"


def test_what_was_opened_of_a_bundle_that_is_refused_is_closed(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    closed: list[object] = []
    open_session = loading.open_session

    def watched(*arguments: Any, **options: Any) -> Any:
        opened.append(open_session(*arguments, **options))
        return opened[-1]

    def check(bundle: b.Bundle, graph: b.GraphName, session: object) -> None:
        if len(opened) == 2:
            raise b.BundleError(encoder, "does not fit", "export it again")

    monkeypatch.setattr(loading, "open_session", watched)
    monkeypatch.setattr(loading, "check_graph", check)
    monkeypatch.setattr("app.runtime.onnx_session.OnnxSession.close", lambda session: closed.append(session))
    assert "does not fit" in refused(encoder)
    assert len(opened) == 2
    assert set(map(id, closed)) == set(map(id, opened))


def test_positions_of_a_batch_are_bounded_by_the_memory_of_their_logits(encoder: Path) -> None:
    lane = loader().load(encoder).lanes["generator"]
    assert lane.batch_positions == loading.POSITION_VALUES // 171


def test_a_changed_byte_is_refused(encoder: Path) -> None:
    raw = bytearray((encoder / "model.onnx").read_bytes())
    raw[100] ^= 1
    (encoder / "model.onnx").write_bytes(raw)
    assert "model.onnx: differs from its checksum" in refused(encoder)


def test_a_missing_file_is_refused(encoder: Path) -> None:
    (encoder / "generator.onnx").unlink()
    assert "generator.onnx: is missing" in refused(encoder)


def test_a_tokenizer_of_another_size_is_refused(encoder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    tokenizer.add_tokens(["onemore"])
    tokenizer.save(str(encoder / "tokenizer.json"))
    edit(encoder, nothing)
    assert "tokenizer.json: has 172 entries" in refused(encoder)


def test_a_tokenizer_that_is_smaller_than_the_manifest_says_is_refused(classifier: Path) -> None:
    edit(classifier, lambda manifest: manifest.update(vocab_size=170))
    assert "tokenizer.json: has 171 entries" in refused(classifier)


def test_special_tokens_elsewhere_are_refused(encoder: Path) -> None:
    edit(encoder, lambda manifest: manifest["special_tokens"].update(cls=3, sep=2))
    assert "is not [CLS]" in refused(encoder)


def test_an_embedding_smaller_than_the_vocabulary_is_refused(classifier: Path) -> None:
    def shrink(model: onnx.ModelProto) -> None:
        table = next(one for one in model.graph.initializer if one.name == "table")
        kept = onnx.numpy_helper.to_array(table)[:100]
        table.CopyFrom(onnx.numpy_helper.from_array(kept.copy(), "table"))

    edit_graph(classifier, "model.onnx", shrink)
    assert "model.onnx: cannot compute one batch" in refused(classifier)


def test_labels_that_the_graph_does_not_have_are_refused(classifier: Path) -> None:
    edit(classifier, lambda manifest: manifest.update(labels=["a", "b", "c"]))
    assert "output logits is 2 wide, bundle.json means 3" in refused(classifier)


def test_a_graph_for_another_task_is_found_out_by_the_warm_up(encoder: Path, classifier: Path) -> None:
    (classifier / "model.onnx").write_bytes((encoder / "model.onnx").read_bytes())
    edit(classifier, nothing)
    assert "gives logits (64,) where (2,)" in refused(classifier)


def test_a_hidden_size_that_differs_is_refused(encoder: Path) -> None:
    edit(encoder, lambda manifest: manifest.update(hidden_size=32))
    assert "output hidden is 16 wide, bundle.json means 32" in refused(encoder)


def test_weights_that_are_not_numbers_are_refused(classifier: Path) -> None:
    def spoil(model: onnx.ModelProto) -> None:
        weight = next(one for one in model.graph.initializer if one.name == "weight")
        array = onnx.numpy_helper.to_array(weight).copy()
        array[0, 0] = float("nan")
        weight.CopyFrom(onnx.numpy_helper.from_array(array, "weight"))

    edit_graph(classifier, "model.onnx", spoil)
    assert "logits that is not finite" in refused(classifier)


@pytest.mark.parametrize(
    ("graph", "change", "complaint"),
    [
        (
            "model",
            {"inputs": ["input_ids", "attention_mask"]},
            "takes attention_mask, input_ids, token_type_ids",
        ),
        ("model", {"inputs": ["input_ids", "mask"]}, "can be fed"),
        ("model", {"outputs": ["logits"]}, "gives hidden, logits"),
        ("model", {"outputs": ["logits", "hidden", "more"]}, "hidden, logits, more is expected"),
        ("generator", {"inputs": ["input_ids", "attention_mask", "token_type_ids"]}, "generator.onnx: takes"),
    ],
)
def test_names_that_differ_are_refused(
    encoder: Path, graph: str, change: dict[str, list[str]], complaint: str
) -> None:
    edit(encoder, lambda manifest: manifest["graphs"][graph].update(change))
    assert complaint in refused(encoder)


def test_a_precision_that_is_not_offered_falls_back_and_says_so(
    encoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = loader(precision="int8").load(encoder)
    assert live.graphs()["model"].precision == "fp32"
    assert "in fp32 only, not in int8" in caplog.text


def test_graphs_of_one_kind_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.registry import loading

    measured: list[str] = []
    calibrate = loading.calibrate

    def counting(*arguments: Any, **options: Any) -> Any:
        measured.append("once")
        return calibrate(*arguments, **options)

    monkeypatch.setattr(loading, "calibrate", counting)
    one = loader()
    for version in ("1", "2", "3"):
        one.load(toy_bundle(tmp_path, "encoder", version))
    assert len(measured) == 2, "the model graph and the generator, once each"
    refusing = toy_bundle(tmp_path, "encoder", "4")
    manifest = json.loads((refusing / "bundle.json").read_text(encoding="utf-8"))
    manifest["graphs"]["model"]["refused"] = ["bf16"]
    (refusing / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    one.load(refusing)
    assert len(measured) == 3, "what may not use bf16 is another kind"


def test_a_decided_budget_is_used(encoder: Path) -> None:
    live = loader(batch_tokens=777).load(encoder)
    assert {info.batch_tokens for info in live.graphs().values()} == {777}


class Pausing(Loader):
    """Waits in the middle of a load, which then goes on to its end whatever is asked of it."""

    def __init__(self) -> None:
        super().__init__(LoadOptions(threads=1), assemble)
        self.opened: list[Lane] = []
        self.started, self.go_on = threading.Event(), threading.Event()

    def _lane(self, *args: Any) -> Lane:
        self.started.set()
        assert self.go_on.wait(30)
        self.opened.append(super()._lane(*args))
        return self.opened[-1]


@pytest.mark.parametrize("graphs", [1, 2])
def test_a_load_that_nobody_waits_for_leaves_nothing_open(tmp_path: Path, graphs: int) -> None:
    """With two graphs it ends between them, with one it is complete before it can notice."""
    root = toy_bundle(tmp_path, "m", task="encode" if graphs == 2 else "classify")

    async def story() -> None:
        pausing = Pausing()
        asking = asyncio.create_task(load_in_thread(pausing, root))
        await asyncio.to_thread(pausing.started.wait, 30)
        asking.cancel()
        await asyncio.sleep(0.05)
        assert not asking.done(), "another load could start beside it"
        pausing.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0)
        assert len(pausing.opened) == 1
        with pytest.raises(AttributeError):
            pausing.opened[0].session.run([TokenSequence(np.arange(5))])

    asyncio.run(story())
