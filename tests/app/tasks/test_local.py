import asyncio

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from app.bundle import BundleError
from app.scheduler.engine import RequestContext
from app.tasks.local import batches_by_length, local_model
from app.text.sequence import TokenSequence
from tests.toy import HIDDEN, toy_bundle


@given(st.lists(st.integers(1, 600), max_size=60), st.integers(1, 2048))
def test_batches_hold_every_sequence_once_within_the_budget(lengths, budget):
    batches = batches_by_length(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert longest * len(batch) <= budget or len(batch) == 1


def test_equal_lengths_fill_the_budget():
    assert [len(batch) for batch in batches_by_length([4] * 10, 16)] == [4, 4, 2]


def test_results_are_those_of_each_row_alone_in_the_order_asked(tmp_path):
    root = toy_bundle(tmp_path, "encoder")
    initializers = {
        item.name: numpy_helper.to_array(item) for item in onnx.load(root / "model.onnx").graph.initializer
    }
    table, scores = initializers["table"], initializers["scores"]
    random = np.random.default_rng(0)
    rows = [TokenSequence(random.integers(5, len(table), random.integers(3, 60))) for _ in range(150)]
    outputs = asyncio.run(local_model(root).engine.infer(rows, RequestContext()))
    assert len(outputs) == len(rows)
    for row, output in zip(rows, outputs, strict=True):
        vectors = table[row.input_ids]
        np.testing.assert_allclose(output["logits"], scores[row.input_ids, 0], rtol=1e-5)
        np.testing.assert_allclose(output["hidden"], vectors + vectors.mean(axis=0), rtol=1e-4, atol=1e-5)


def test_the_generator_answers_at_the_positions_asked(tmp_path):
    root = toy_bundle(tmp_path, "encoder")
    (table,) = (
        numpy_helper.to_array(item)
        for item in onnx.load(root / "generator.onnx").graph.initializer
        if item.name == "table"
    )
    engine = local_model(root).engine
    rows = [
        TokenSequence(np.array([2, 9, 4, 3]), positions=np.array([2])),
        TokenSequence(np.array([2, 4, 10, 11, 4, 3]), positions=np.array([1, 4])),
    ]
    outputs = asyncio.run(engine.infer(rows, RequestContext(), graph="generator"))
    for row, output in zip(rows, outputs, strict=True):
        vectors = table[row.input_ids]
        hidden = vectors + vectors.mean(axis=0)
        assert hidden.shape[1] == HIDDEN
        np.testing.assert_allclose(output["logits"], hidden[row.positions] @ table.T, rtol=1e-3, atol=1e-3)
    engine.close()
    again = asyncio.run(engine.infer(rows[:1], RequestContext(), graph="generator"))
    np.testing.assert_array_equal(again[0]["logits"].shape, (1, len(table)))


def test_a_precision_that_the_bundle_lacks_is_refused_at_once(tmp_path):
    with pytest.raises(BundleError, match="has no int8 model graph"):
        local_model(toy_bundle(tmp_path, "encoder"), precision="int8")
