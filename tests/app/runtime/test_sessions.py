"""The toy graphs, whose answers are known, through every backend that is installed here."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bundle import Bundle, BundleError
from app.bundle_files import read_bundle
from app.runtime import Backend, BackendUnavailable, open_session
from app.runtime.batch import Session
from app.runtime.onnx_session import OnnxSession
from app.text.sequence import TokenSequence
from tests.toy import toy_bundle

BACKENDS = ["onnxruntime", *(["openvino"] if importlib.util.find_spec("openvino") else [])]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    root = tmp_path_factory.mktemp("models")
    return {
        "encode": read_bundle(toy_bundle(root, "encoder")),
        "classify": read_bundle(toy_bundle(root, "classifier", task="classify", labels=("a", "b", "c"))),
    }


@pytest.fixture(scope="module", params=BACKENDS)
def sessions(request: pytest.FixtureRequest, bundles: dict[str, Bundle]) -> Iterator[dict[str, Session]]:
    encode, classify = bundles["encode"], bundles["classify"]
    opened = {
        "encode": open_session(encode, backend=request.param, threads=1),
        "classify": open_session(classify, backend=request.param, threads=1),
        "generator": open_session(encode, "generator", backend=request.param, threads=1),
    }
    yield opened
    for session in opened.values():
        session.close()


def rows(*lengths: int, positions: bool = False, first: int = 5) -> list[TokenSequence]:
    return [
        TokenSequence(
            np.arange(first + index, first + index + length),
            None,
            np.array([length - 1, 0], np.int64) if positions else None,
        )
        for index, length in enumerate(lengths)
    ]


def test_what_a_session_says_of_itself(sessions: dict[str, Session]) -> None:
    for session in sessions.values():
        assert session.backend in BACKENDS
        assert session.precision in ("fp32", "bf16")
        assert session.max_tokens == 64
        assert {"input_ids", "attention_mask", "token_type_ids"} <= set(session.input_shapes)
    assert sessions["encode"].output_shapes["hidden"][-1] == 16


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 64), min_size=1, max_size=9))
def test_a_row_gets_the_same_answer_in_any_company(sessions: dict[str, Session], lengths: list[int]) -> None:
    for name, session in sessions.items():
        batch = rows(*lengths, positions=name == "generator")
        together = session.run(batch)
        for sequence, answer in zip(batch, together, strict=True):
            alone = session.run([sequence])[0]
            assert set(answer) == set(alone)
            for key in answer:
                assert answer[key].shape == alone[key].shape
                np.testing.assert_allclose(answer[key], alone[key], atol=2e-5, rtol=1e-4)


def test_shapes_are_those_of_the_contract(sessions: dict[str, Session]) -> None:
    encoded = sessions["encode"].run(rows(3, 9))
    assert [(one["logits"].shape, one["hidden"].shape) for one in encoded] == [
        ((3,), (3, 16)),
        ((9,), (9, 16)),
    ]
    assert [one["logits"].shape for one in sessions["classify"].run(rows(3, 9))] == [(3,), (3,)]
    vocabulary = sessions["generator"].output_shapes["logits"][-1]
    assert isinstance(vocabulary, int)
    generated = sessions["generator"].run(rows(3, 9, positions=True))
    assert [one["logits"].shape for one in generated] == [(2, vocabulary), (2, vocabulary)]


def test_earlier_answers_survive_later_batches(sessions: dict[str, Session]) -> None:
    first = sessions["encode"].run(rows(8))[0]["hidden"]
    copy = first.copy()
    sessions["encode"].run(rows(8, first=40))
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_beside_each_other_get_the_answers_that_they_get_alone(
    bundles: dict[str, Bundle], backend: Backend
) -> None:
    session = open_session(bundles["encode"], backend=backend, threads=2, parallel=2)
    batches = [rows(*range(1, 2 + number % 7), first=5 + number) for number in range(64)]
    expected = [session.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(session.run, batches))
    for answers, alone in zip(found, expected, strict=True):
        for answer, right in zip(answers, alone, strict=True):
            np.testing.assert_allclose(answer["hidden"], right["hidden"], atol=1e-6)
    session.close()


def test_a_batch_has_all_threads_whenever_it_is_alone(bundles: dict[str, Bundle]) -> None:
    session = open_session(bundles["encode"], threads=2, parallel=2)
    assert isinstance(session, OnnxSession)
    assert session._alone is not session._beside
    for _ in range(2):
        with session._one_more() as first, session._one_more() as second:
            assert (first, second) == (session._alone, session._beside)
    session.close()


def test_rows_that_cannot_run_are_told_so(sessions: dict[str, Session]) -> None:
    encode, generator = sessions["encode"], sessions["generator"]
    ids = np.array([5, 6], np.int64)
    bad = [
        (encode, TokenSequence(np.array([], np.int64)), "0 tokens"),
        (encode, TokenSequence(np.full(65, 5)), "65 tokens"),
        (encode, TokenSequence(np.array([5, 100_000])), "outside the vocabulary"),
        (encode, TokenSequence(np.array([5, -1])), "id -1 is outside"),
        (encode, TokenSequence(ids, np.array([0])), "1 token types"),
        (encode, TokenSequence(ids, None, np.array([0])), "only the generator"),
        (generator, TokenSequence(ids), "needs positions"),
        (generator, TokenSequence(ids, None, np.array([2])), "positions 2 to 2"),
        (generator, TokenSequence(ids, None, np.array([-1])), "positions -1"),
    ]
    for session, sequence, complaint in bad:
        with pytest.raises(ValueError, match=complaint):
            session.run([sequence])
    assert encode.run(rows(2))[0]["logits"].shape == (2,)


def test_the_file_may_go_while_it_serves(tmp_path: Path) -> None:
    root = toy_bundle(tmp_path, "encoder")
    for backend in BACKENDS:
        session = open_session(read_bundle(root), backend=backend, threads=1)  # type: ignore[arg-type]
        (root / "model.onnx").rename(root / "model.gone")
        assert session.run(rows(4))[0]["logits"].shape == (4,)
        (root / "model.gone").rename(root / "model.onnx")
        session.close()


def test_a_graph_that_is_no_graph_is_one_clear_line(tmp_path: Path) -> None:
    root = toy_bundle(tmp_path, "encoder")
    bundle = read_bundle(root)
    (root / "model.onnx").write_bytes(b"no graph at all")
    for backend in BACKENDS:
        with pytest.raises(BundleError, match=r"model\.onnx: .* cannot open it") as refused:
            open_session(bundle, backend=backend)  # type: ignore[arg-type]
        assert "\n" not in str(refused.value)


def test_choices_that_are_not_there(bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleError, match="has no int8"):
        open_session(bundles["encode"], precision="int8")
    with pytest.raises(BundleError, match="has no generator"):
        open_session(bundles["classify"], "generator")
    with pytest.raises(BackendUnavailable, match="onnxruntime-gpu"):
        open_session(bundles["encode"], backend="cuda")
    with pytest.raises(BackendUnavailable, match="none of auto"):
        open_session(bundles["encode"], backend="abacus")  # type: ignore[arg-type]
    monkeypatch.setattr("app.runtime.opening.openvino_installed", lambda: False)
    with pytest.raises(BackendUnavailable, match="pip install"):
        open_session(bundles["encode"], backend="openvino")
    assert open_session(bundles["encode"], backend="auto", threads=1).backend == "onnxruntime"


def test_auto_times_both_where_openvino_may_win(
    bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.runtime import opening

    class Rival:
        backend = "openvino"

        def __init__(
            self, file: Path, shape: object, *, precision: str, threads: int, bfloat16: bool
        ) -> None:
            assert (file.name, precision, threads) == ("model.onnx", "fp32", 1)
            self.bfloat16 = bfloat16

    monkeypatch.setattr("app.runtime.openvino_session.OpenVinoSession", Rival)
    monkeypatch.setattr("app.runtime.calibrate.race", lambda sessions, shape: sessions[-1])
    monkeypatch.setattr("app.runtime.openvino_session.amx_available", lambda: False)
    assert not opening.openvino_promising()
    assert open_session(bundles["encode"], backend="auto", threads=1).backend == "onnxruntime"
    monkeypatch.setattr(opening, "openvino_promising", lambda: True)
    session = open_session(bundles["encode"], backend="auto", threads=1)
    assert session.backend == "openvino"
    assert session.bfloat16  # type: ignore[attr-defined]
    manifest = bundles["encode"].manifest
    graph = manifest.graphs["model"].model_copy(update={"refused": ["bf16"]})
    refusing = manifest.model_copy(update={"graphs": manifest.graphs | {"model": graph}})
    session = open_session(Bundle(bundles["encode"].path, refusing), backend="auto", threads=1)
    assert not session.bfloat16  # type: ignore[attr-defined]
