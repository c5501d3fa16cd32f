import asyncio
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from app.tasks.detect import DetectOptions, detect_replaced
from app.tasks.local import local_model
from app.text.offsets import grapheme_starts
from tests.hard_text import hard_text
from tests.toy import toy_bundle

HIGH, LOW = 1 / (1 + math.exp(-4.0)), 1 / (1 + math.exp(4.0))
GRANULARITIES = st.sampled_from(["token", "char", "word"])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    return local_model(toy_bundle(models, "encoder", replaced=("错", "bad", "##ed", "。"), max_tokens=24))


def run(model, *texts, **options):
    return asyncio.run(detect_replaced(model, list(texts), DetectOptions(**options), RequestContext()))


def flagged(answer):
    return [(token.word, token.start, token.end) for token in answer.tokens if token.replaced]


def test_replaced_words_are_flagged_with_their_probability(model):
    (answer,) = run(model, "我喜欢错苹果。")
    assert flagged(answer) == [("错", 3, 4)]
    assert [token.index for token in answer.tokens] == list(range(7))
    np.testing.assert_allclose(
        [token.score for token in answer.tokens], [LOW] * 3 + [HIGH] + [LOW] * 2 + [HIGH], rtol=1e-5
    )
    (span,) = answer.spans
    assert (span.start, span.end, span.text, span.suggestions) == (3, 4, "错", [])
    assert span.score == answer.tokens[3].score
    assert answer.score == pytest.approx((5 * LOW + HIGH) / 6, rel=1e-5)
    assert (answer.index, answer.threshold, answer.offset_unit) == (0, 0.9, "codepoint"), "precise"
    assert (answer.windows, answer.truncated, answer.prompt_tokens) == (1, False, 9)


def test_the_temperature_softens_the_probabilities(tmp_path):
    model = local_model(toy_bundle(tmp_path, "encoder"))
    model.bundle.manifest.calibration.temperature = 4.0
    (answer,) = run(model, "错", threshold="sensitive")
    assert answer.tokens[0].score == pytest.approx(1 / (1 + math.exp(-1.0)))


@pytest.mark.parametrize(
    ("threshold", "count"), [("balanced", 1), ("precise", 1), ("sensitive", 1), (0.99, 0), (0.0, 7), (1.0, 0)]
)
def test_the_threshold_decides_what_is_flagged(model, threshold, count):
    (answer,) = run(model, "我喜欢错苹果好", threshold=threshold)
    assert len(flagged(answer)) == count


def test_ignored_and_protected_parts_are_scored_and_never_flagged(model):
    text = "错。bad 错"
    (plain,) = run(model, text, ignore=())
    assert [word for word, _, _ in flagged(plain)] == ["错", "。", "bad", "错"]
    (answer,) = run(model, text, ignore=("latin", "punctuation"), protected=((0, 1),))
    assert flagged(answer) == [("错", 6, 7)]
    assert [token.ignored for token in answer.tokens] == [True, True, True, False]
    assert [token.score for token in answer.tokens] == [token.score for token in plain.tokens]
    assert flagged(run(model, text, protected=("错", "bad"))[0]) == []


def test_unknown_words_are_marked_and_flagged_only_on_request(model):
    (answer,) = run(model, "吃龘", threshold=0.0)
    assert [(token.unknown, token.replaced) for token in answer.tokens] == [(False, True), (True, False)]
    (answer,) = run(model, "吃龘", threshold=0.0, flag_unknown=True)
    assert all(token.replaced for token in answer.tokens)


@pytest.mark.parametrize(
    ("granularity", "expected"),
    [
        ("token", [("ed", 5, 7), ("bad", 8, 11)]),
        ("char", [("e", 5, 6), ("d", 6, 7), ("b", 8, 9), ("a", 9, 10), ("d", 10, 11)]),
        ("word", [("cated", 2, 7), ("bad", 8, 11)]),
    ],
)
def test_granularity(model, granularity, expected):
    assert flagged(run(model, "i cated bad", granularity=granularity)[0]) == expected


def test_a_typed_mask_is_text(model):
    (answer,) = run(model, "我[MASK]错")
    assert [token.word for token in answer.tokens] == ["我", "[", "MASK", "]", "错"]
    assert flagged(answer) == [("错", 7, 8)]


def test_utf16_offsets_are_those_of_javascript(model):
    text = "🍎错👨\u200d👩\u200d👧错"
    (answer,) = run(model, text, offset_unit="utf16")
    units = text.encode("utf-16-le")
    for item in [*answer.tokens, *answer.spans]:
        word = item.text if hasattr(item, "text") else item.word
        assert units[2 * item.start : 2 * item.end].decode("utf-16-le") == word
    assert [span.start for span in answer.spans] == [2, 11]
    (protected,) = run(model, text, offset_unit="utf16", protected=((2, 3),))
    assert [span.start for span in protected.spans] == [11]


def test_a_long_text_reads_as_its_sentences_do(model):
    sentence = "我喜欢错苹果，the cat sat. "
    (answer,) = run(model, sentence * 20)
    assert answer.windows > 10
    assert [span.start for span in answer.spans] == [3 + len(sentence) * index for index in range(20)]
    assert answer.prompt_tokens > len(model.encoder.encode(sentence * 20))
    (short,) = run(model, sentence)
    assert answer.score == pytest.approx(short.score)


def test_a_long_text_is_read_in_calls_of_many_windows(model, monkeypatch):
    calls = []
    infer = model.engine.infer

    async def counted(rows, context, **options):
        calls.append(sum(map(len, rows)))
        return await infer(rows, context, **options)

    monkeypatch.setattr("app.tasks.detect.task.TOKENS_PER_CALL", 100)
    monkeypatch.setattr(model.engine, "infer", counted)
    (answer,) = run(model, "我喜欢错苹果，the cat sat. " * 30)
    assert len(calls) > 2
    assert all(100 <= tokens < 100 + 24 for tokens in calls[:-1])
    assert sum(calls) == answer.prompt_tokens


def test_a_text_cut_on_request_has_no_tokens_beyond_the_cut(model):
    text = "我喜欢错" * 20
    (answer,) = run(model, text, truncate=True)
    assert (answer.truncated, answer.windows, answer.prompt_tokens) == (True, 1, 24)
    assert answer.tokens[-1].end == 22
    assert not run(model, "错", truncate=True)[0].truncated


def test_every_input_of_a_batch_gets_the_answer_it_gets_alone(model):
    texts = ["错", "我喜欢苹果" * 30, "the bad cat", "错错。"]
    together = run(model, *texts, suggestions=2)
    assert [answer.index for answer in together] == [0, 1, 2, 3]
    for text, answer in zip(texts, together, strict=True):
        (alone,) = run(model, text, suggestions=2)
        assert [(t.word, t.start, t.replaced) for t in answer.tokens] == [
            (t.word, t.start, t.replaced) for t in alone.tokens
        ]
        assert [[s.text for s in span.suggestions] for span in answer.spans] == [
            [s.text for s in span.suggestions] for span in alone.spans
        ]


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "好\ud800"])
def test_texts_without_characters_are_refused_by_name(model, text):
    with pytest.raises(ValidationFailed, match=r"input\.1: "):
        run(model, "好", text)


@given(hard_text, GRANULARITIES, st.sampled_from([0, 3]), st.booleans(), st.sampled_from([0.0, 0.5]))
def test_offsets_hold_on_any_text(model, text, granularity, suggestions, flag_unknown, threshold):
    text = "错" + text
    (answer,) = run(
        model,
        text,
        granularity=granularity,
        suggestions=suggestions,
        flag_unknown=flag_unknown,
        threshold=threshold,
        ignore=(),
    )
    boundaries = {*grapheme_starts(text).tolist(), len(text)}
    for token in answer.tokens:
        assert text[token.start : token.end] == token.word
        assert token.word
        assert {token.start, token.end} <= boundaries
        assert 0 <= token.score <= 1
        assert token.replaced == (token.score >= threshold and (flag_unknown or not token.unknown))
    inside = {position for span in answer.spans for position in range(span.start, span.end)}
    for span in answer.spans:
        assert text[span.start : span.end] == span.text
        assert {span.start, span.end} <= boundaries
        assert len(span.suggestions) <= suggestions
        for suggestion in span.suggestions:
            assert suggestion.text not in ("", span.text)
            assert 0 <= suggestion.score <= 1
            assert -1 <= suggestion.delta <= span.score
    assert all(set(range(token.start, token.end)) <= inside for token in answer.tokens if token.replaced)
