import asyncio

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from app.tasks.classify import _ranked, activate, classify, classify_ids
from app.tasks.inputs import windows_of
from app.tasks.local import local_model
from tests.hard_text import hard_text
from tests.toy import toy_bundle

LABELS = ("sport", "news", "money")
MAX_TOKENS = 16


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    return toy_bundle(models, "topics", task="classify", labels=LABELS, max_tokens=MAX_TOKENS)


@pytest.fixture(scope="module")
def model(root):
    return local_model(root)


@pytest.fixture(scope="module")
def weights(root):
    graph = onnx.load(root / "model.onnx").graph
    return {item.name: numpy_helper.to_array(item).astype(np.float64) for item in graph.initializer}


def run(model, inputs, **options):
    return asyncio.run(classify(model, inputs, context=RequestContext(), **options))


def logits_of(weights, row):
    return weights["table"][row].mean(axis=0) @ weights["weight"]


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def test_scores_are_those_of_the_graph(model, weights):
    (answer,) = run(model, ["我喜欢苹果"])
    ids = model.encoder.encode("我喜欢苹果").ids
    expected = softmax(logits_of(weights, [2, *ids, 3]))
    np.testing.assert_allclose(answer.probs, expected, rtol=1e-4)
    best = int(expected.argmax())
    assert (answer.label, answer.score) == (LABELS[best], answer.probs[best])
    assert [item.score for item in answer.scores] == sorted(answer.probs, reverse=True)
    assert {item.label: item.score for item in answer.scores} == dict(zip(LABELS, answer.probs, strict=True))
    assert (answer.num_classes, answer.windows, answer.truncated, answer.prompt_tokens) == (3, 1, False, 7)


def test_every_input_gets_its_own_answer_in_order(model):
    texts = ["我喜欢", "the cat sat on the mat " * 5, "苹果"]
    together = run(model, texts)
    assert [answer.index for answer in together] == [0, 1, 2]
    for text, answer in zip(texts, together, strict=True):
        np.testing.assert_allclose(answer.probs, run(model, [text])[0].probs, rtol=1e-4)


def test_a_long_text_is_the_mean_of_its_windows_weighted_by_tokens(model, weights):
    text = "我喜欢吃苹果。the cat sat on the mat. 今天天气很好！"
    (answer,) = run(model, [text], function_to_apply="none")
    ids = model.encoder.encode(text).ids
    planned = windows_of(text, model.encoder.encode(text), MAX_TOKENS - 2, truncate=False)
    rows = [[2, *ids[window.start : window.end], 3] for window in planned]
    assert len(rows) == answer.windows > 1
    lengths = [len(row) for row in rows]
    expected = np.average([logits_of(weights, row) for row in rows], axis=0, weights=lengths)
    np.testing.assert_allclose(answer.probs, expected, rtol=1e-3, atol=1e-5)
    assert answer.prompt_tokens == sum(lengths)


def test_truncation_reads_the_beginning_and_says_so(model):
    text = "我喜欢吃苹果" * 10
    (answer,) = run(model, [text], truncate=True)
    assert (answer.truncated, answer.windows, answer.prompt_tokens) == (True, 1, MAX_TOKENS)
    np.testing.assert_allclose(answer.probs, run(model, [text[: MAX_TOKENS - 2]])[0].probs, rtol=1e-5)
    assert not run(model, ["我喜欢"], truncate=True)[0].truncated


def test_functions_agree_on_the_order(model):
    answers = {
        name: run(model, ["我喜欢"], function_to_apply=name)[0] for name in ("softmax", "sigmoid", "none")
    }
    assert len({tuple(item.label for item in answer.scores) for answer in answers.values()}) == 1
    logits = np.array(answers["none"].probs)
    np.testing.assert_allclose(answers["softmax"].probs, softmax(logits), rtol=1e-6)
    np.testing.assert_allclose(answers["sigmoid"].probs, 1 / (1 + np.exp(-logits)), rtol=1e-6)


def test_labels_whose_probabilities_round_to_one_are_ranked_by_their_logits():
    logits = np.array([50.0, 60.0, 40.0])
    probs = activate(logits, "sigmoid")
    assert (probs == 1.0).all()
    assert [item.label for item in _ranked(LABELS, logits, probs)] == ["news", "sport", "money"]
    assert [item.label for item in _ranked(LABELS, np.zeros(3), np.full(3, 0.5))] == list(LABELS)


def test_a_multi_label_model_defaults_to_sigmoid(tmp_path):
    model = local_model(
        toy_bundle(tmp_path, "tags", task="classify", labels=LABELS, problem_type="multi_label")
    )
    assert run(model, ["我喜欢"])[0].probs == run(model, ["我喜欢"], function_to_apply="sigmoid")[0].probs


@pytest.mark.parametrize(("top_k", "count"), [(None, 3), (1, 1), (2, 2), (9, 3)])
def test_top_k_limits_the_scores_and_nothing_else(model, top_k, count):
    (answer,) = run(model, ["我喜欢"], top_k=top_k)
    assert len(answer.scores) == count
    assert len(answer.probs) == 3


def test_a_pair_is_one_row_of_two_segments(model, weights):
    (answer,) = run(model, ["我喜欢"], text_pair=["苹果"])
    first, second = model.encoder.encode("我喜欢").ids, model.encoder.encode("苹果").ids
    expected = softmax(logits_of(weights, [2, *first, 3, *second, 3]))
    np.testing.assert_allclose(answer.probs, expected, rtol=1e-4)
    assert answer.prompt_tokens == 8


@pytest.mark.parametrize("swap", [False, True])
def test_the_longer_of_a_pair_is_read_in_windows_beside_the_whole_shorter(model, swap):
    texts = ["我喜欢", "吃苹果。" * 10]
    first, second = texts[::-1] if swap else texts
    (answer,) = run(model, [first], text_pair=[second])
    assert answer.windows > 1
    assert not answer.truncated
    assert answer.prompt_tokens >= 40 + 3 * answer.windows + 3 * answer.windows


def test_a_pair_cut_on_request_keeps_the_shorter_whole(model):
    (answer,) = run(model, ["我喜欢"], text_pair=["吃苹果。" * 10], truncate=True)
    assert (answer.truncated, answer.prompt_tokens) == (True, MAX_TOKENS)
    (short,) = run(model, ["我喜欢"], text_pair=["吃苹果。吃苹果。吃苹果。"[: MAX_TOKENS - 6]])
    np.testing.assert_allclose(answer.probs, short.probs, rtol=1e-5)


def test_two_long_texts_of_a_pair_are_refused_unless_cut(model):
    long = "我喜欢吃苹果" * 3
    with pytest.raises(ValidationFailed, match=r"text_pair\.1: texts of 18 and 18 tokens do not fit"):
        run(model, ["我", long], text_pair=["我", long])
    (answer,) = run(model, [long], text_pair=[long], truncate=True)
    assert (answer.truncated, answer.prompt_tokens) == (True, MAX_TOKENS)


@pytest.mark.parametrize(
    ("inputs", "options", "field"),
    [
        (["我", ""], {}, "input.1"),
        (["我"], {"text_pair": [" "]}, "text_pair"),
        (["我"], {"text_pair": ["我", "我"]}, "text_pair"),
        (["我"], {"top_k": 0}, "top_k"),
        (["\ud800"], {}, "input"),
    ],
)
def test_bad_input_is_named(model, inputs, options, field):
    with pytest.raises(ValidationFailed) as caught:
        run(model, inputs, **options)
    assert caught.value.problems[0].field == field


def run_ids(model, rows, **options):
    return asyncio.run(classify_ids(model, rows, context=RequestContext(), **options))


def test_ids_are_taken_up_to_the_model_s_length_and_the_last_of_its_vocabulary(model, weights):
    last = model.encoder.vocab_size - 1
    rows = [[2, *[7] * (MAX_TOKENS - 2), last], [last]]
    answers = run_ids(model, rows)
    assert [(answer.truncated, answer.prompt_tokens) for answer in answers] == [
        (False, MAX_TOKENS),
        (False, 1),
    ]
    for row, answer in zip(rows, answers, strict=True):
        np.testing.assert_allclose(answer.probs, softmax(logits_of(weights, row)), rtol=1e-4)


def test_ids_beyond_the_model_s_length_are_refused(model):
    row = [2, *range(5, 5 + MAX_TOKENS)]
    with pytest.raises(ValidationFailed, match=f"holds {MAX_TOKENS + 1} ids, the model takes {MAX_TOKENS}"):
        run_ids(model, [row])


@pytest.mark.parametrize("token", [-1, "vocabulary"])
def test_an_id_outside_the_vocabulary_is_named(model, token):
    outside = model.encoder.vocab_size if token == "vocabulary" else token
    with pytest.raises(ValidationFailed, match=r"input\.1: holds an id outside 0 to"):
        run_ids(model, [[2, 3], [2, outside, 3]])


def test_an_encoder_cannot_classify(tmp_path):
    with pytest.raises(ValidationFailed, match="encoder has no classifier"):
        run(local_model(toy_bundle(tmp_path, "encoder")), ["我"])


@given(hard_text, st.booleans())
def test_any_text_with_a_token_is_answered(model, text, truncate):
    (answer,) = run(model, ["好" + text], truncate=truncate)
    assert sum(answer.probs) == pytest.approx(1)
    assert answer.windows == 1 or not truncate
    assert answer.truncated == (truncate and len(model.encoder.encode("好" + text)) > MAX_TOKENS - 2)


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=9))
def test_activation_is_finite_and_keeps_the_order(values):
    logits = np.array(values)
    for function in ("softmax", "sigmoid"):
        probs = activate(logits, function)
        assert np.isfinite(probs).all()
        assert ((probs >= 0) & (probs <= 1)).all()
        assert (np.diff(probs[np.argsort(logits)]) >= 0).all()
