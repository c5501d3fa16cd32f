"""Statistics against their definition, on a bundle whose vectors are known."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from app.scheduler.engine import RequestContext
from app.tasks.local import local_model
from app.tasks.model import ServedModel
from app.tasks.summarize.vectors import pool
from tests.toy import toy_bundle
from training.export.pooling import fit_pooling, sentence_vectors

SENTENCES = [
    "我喜欢吃苹果",
    "今天天气很好",
    "the cat sat",
    "中国新闻",
    "他说的是",
    "一二三四",
    "good dog",
    "公园的人",
] * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return local_model(toy_bundle(tmp_path_factory.mktemp("models"), "toy"), threads=1)


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_whitened_vectors_are_uncorrelated(pooling: str, model: ServedModel) -> None:
    vectors = sentence_vectors(model, SENTENCES, pooling)
    statistics = fit_pooling(model, SENTENCES, pooling)
    np.testing.assert_allclose(statistics.mean, vectors.mean(axis=0), atol=1e-5)
    white = (vectors - statistics.mean) @ statistics.whitening
    covariance = np.cov(white, rowvar=False)
    np.testing.assert_allclose(covariance, np.eye(len(covariance)), atol=1e-3)
    # Eight distinct sentences vary in seven directions at most.
    assert statistics.whitening.shape[1] <= 7


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_vectors_are_pooled_as_the_service_pools_them(pooling: str, model: ServedModel) -> None:
    rows = [model.encoder.sequence(model.encoder.encode(text).ids) for text in SENTENCES[:8]]
    states = asyncio.run(model.engine.infer(rows, RequestContext()))
    wanted = [pool(state["hidden"], pooling)[0] for state in states]
    np.testing.assert_allclose(sentence_vectors(model, SENTENCES[:8], pooling), wanted, atol=1e-5)


def test_one_sentence_has_no_statistics(model: ServedModel) -> None:
    with pytest.raises(ValueError, match="two sentences"):
        fit_pooling(model, ["我"])
