"""Sentence vectors against the toy encoder's arithmetic: hidden = table[id] + mean of the row."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from app.bundle import GraphName, Pooling
from app.runtime.batch import Outputs
from app.scheduler.engine import RequestContext
from app.tasks.model import PoolingStatistics, ServedModel
from app.tasks.summarize import vectors as module
from app.tasks.summarize.options import PoolingName
from app.tasks.summarize.segments import segment_document
from app.tasks.summarize.vectors import DocumentVectors, pool, postprocessed, sentence_vectors
from app.text.sequence import TokenSequence


class Watched:
    """An engine that counts what it is handed."""

    def __init__(self, model: ServedModel) -> None:
        self.engine = model.engine
        self.calls: list[int] = []

    async def infer(
        self, sequences: Sequence[TokenSequence], context: RequestContext, *, graph: GraphName = "model"
    ) -> list[Outputs]:
        self.calls.append(sum(map(len, sequences)))
        return await self.engine.infer(sequences, context, graph=graph)


@pytest.fixture(scope="module")
def table(bundle_dir: Path) -> np.ndarray:
    graph = onnx.load(bundle_dir / "model.onnx").graph
    return next(numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name == "table")


def encode(model: ServedModel, texts: list[str], pooling: PoolingName) -> list[DocumentVectors]:
    encoded = [model.encoder.encode(text) for text in texts]
    segments = [segment_document(text) for text in texts]
    return asyncio.run(sentence_vectors(model, encoded, segments, pooling, RequestContext()))


def expected_state(model: ServedModel, table: np.ndarray, sentence: str, pooling: str) -> np.ndarray:
    row = model.encoder.sequence(model.encoder.encode(sentence).ids).input_ids
    hidden = table[row] + table[row].mean(axis=0)
    if pooling == "cls":
        return hidden[0]
    return hidden[1:-1].mean(axis=0) if pooling == "mean" else hidden[1:-1].max(axis=0)


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_each_sentence_is_encoded_by_itself(
    model: ServedModel, table: np.ndarray, pooling: PoolingName
) -> None:
    sentences = ["我喜欢吃苹果。", "The cat sat on the mat.", "今天天气很好！"]
    result = encode(model, ["".join(sentences), sentences[1]], pooling)
    for row, sentence in zip(result[0].vectors, sentences, strict=True):
        state = expected_state(model, table, sentence, pooling)
        assert np.allclose(row, state / np.linalg.norm(state), atol=1e-5)
    assert np.allclose(result[1].vectors[0], result[0].vectors[1], atol=1e-5)
    tokens = sum(len(model.encoder.encode(sentence)) + 2 for sentence in sentences)
    assert result[0].prompt_tokens == tokens


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_a_sentence_longer_than_the_model_is_read_whole(model: ServedModel, pooling: PoolingName) -> None:
    head, tail = "我" * 40, "你苹果新闻体育经济"
    long, cut = encode(model, [head + tail], pooling)[0], encode(model, [head], pooling)[0]
    assert long.prompt_tokens > model.encoder.max_tokens
    if pooling == "cls":  # the mean over two windows
        assert np.isfinite(long.vectors).all()
    else:
        assert not np.allclose(long.vectors, cut.vectors, atol=1e-3)


def test_windows_weigh_by_their_tokens(model: ServedModel) -> None:
    """A mean over windows is the mean over all tokens: identical windows change nothing."""
    room = model.encoder.room
    one, three = encode(model, ["我" * room, "我" * (3 * room)], "mean")
    assert np.allclose(one.vectors, three.vectors, atol=1e-5)
    assert three.prompt_tokens == 3 * one.prompt_tokens


def test_windows_of_different_lengths_pool_like_the_whole() -> None:
    states = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    special = np.full((1, 4), 99, np.float32)
    pooled = module._Pool(2, 4, "mean")
    for part in (states[:7], states[7:]):
        pooled.add(1, np.concatenate([special, part, special]))
    np.testing.assert_allclose(pooled.result([1, 0]), [states.mean(axis=0), np.zeros(4)], rtol=1e-5)
    assert pooled.tokens == 9 + 4


def test_duplicates_are_read_once_and_sentences_without_tokens_are_zero(model: ServedModel) -> None:
    text = "今天天气很好。\n我喜欢吃苹果。\n今天天气很好！\n\u200b\n"
    result = encode(model, [text], "mean")[0]
    assert np.array_equal(result.vectors[0], result.vectors[2])
    assert result.has_tokens.tolist() == [True, True, True, False][: len(result.has_tokens)]
    assert result.prompt_tokens == 2 * 9
    norms = np.linalg.norm(result.vectors, axis=1)
    assert np.allclose(norms, result.has_tokens)


def test_calls_are_bounded(model: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"{a}{b}天气很好。" for a in "我他中国大小" for b in "一二三四五六")
    whole = encode(model, [text], "mean")[0]
    monkeypatch.setattr(module, "TOKENS_PER_CALL", 50)
    engine = Watched(model)
    parted = encode(replace(model, engine=engine), [text], "mean")[0]
    assert max(engine.calls) <= 50
    assert len(engine.calls) > 5
    assert np.allclose(whole.vectors, parted.vectors, atol=1e-5)


def test_pool_leaves_the_special_tokens_out() -> None:
    hidden = np.array([[9, 9], [1, 4], [3, 2], [7, 7]], np.float32)
    assert pool(hidden, "mean")[0].tolist() == [2, 3]
    assert pool(hidden, "max")[0].tolist() == [3, 4]
    assert pool(hidden, "cls")[0].tolist() == [9, 9]
    assert [pool(hidden, name)[1] for name in ("mean", "max", "cls")] == [2, 2, 1]


def test_whitening_makes_a_corpus_round() -> None:
    random = np.random.default_rng(0)
    states = (random.normal(size=(500, 6)) @ random.normal(size=(6, 6)) + 3).astype(np.float32)
    mean = states.mean(axis=0)
    values, directions = np.linalg.eigh(np.cov((states - mean).T))
    whitening = (directions[:, ::-1] / np.sqrt(values[::-1])).astype(np.float32)[:, :4]
    statistics = PoolingStatistics(mean, whitening)
    settings = Pooling(layers=[-1], postprocess="whiten")
    white = postprocessed(states, settings, statistics, "mean")
    assert white.shape == (500, 4)
    assert np.allclose(np.linalg.norm(white, axis=1), 1, atol=1e-5)
    assert np.abs(white.mean(axis=0)).max() < 0.1
    centred = postprocessed(states, settings.model_copy(update={"postprocess": "centre"}), statistics, "mean")
    plain = (states - mean) / np.linalg.norm(states - mean, axis=1, keepdims=True)
    assert np.allclose(centred, plain, atol=1e-5)
    other = postprocessed(states, settings, statistics, "max")
    assert np.allclose(other, states / np.linalg.norm(states, axis=1, keepdims=True), atol=1e-5)
