"""What holds for every summary, whatever the text and the options."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from app.tasks.local import local_model
from app.tasks.model import PoolingStatistics, ServedModel
from app.tasks.sentence_scorer import SCALAR_FEATURES, SentenceScorer, feature_size
from app.tasks.summarize import (
    DEFAULT_SENTENCES,
    Method,
    SummarizeOptions,
    Summary,
    SummarySentence,
    joined,
    summarize,
)
from app.text.encoder import LONG_TEXT
from tests.hard_text import hard_text
from tests.toy import HIDDEN, toy_bundle

METHODS: list[Method] = ["kmeans", "centroid", "textrank", "lead", "scorer"]
SENTENCES = [
    "我喜欢吃苹果。",
    "今天天气很好！",
    "新闻说体育很好。",
    "中国的经济很大。",
    "他们去公园了吗？",
    "The cat sat on the mat.",
    "Hello world, I love apples.",
    "我用iPhone拍照很好。",
    "他说：“今天很好！”",
    "好。",
    "12.5%",
    "你好世界",
]
documents = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=20).map("\n".join) | hard_text
lengths = st.one_of(
    st.builds(dict, num_sentences=st.integers(1, 12)),
    st.builds(dict, ratio=st.floats(0.01, 1)),
    st.builds(dict, max_chars=st.integers(1, 80)),
    st.just({}),
)
choices = st.builds(
    dict,
    method=st.sampled_from(METHODS),
    diversity=st.sampled_from([0.0, 0.3, 1.0]),
    order=st.sampled_from(["position", "rank"]),
)


@pytest.fixture(scope="module")
def scoring(model: ServedModel) -> ServedModel:
    """A model with a scorer that wants sentences with digits, then early ones."""
    weight = np.zeros((feature_size(HIDDEN), 1), np.float32)
    weight[3 * HIDDEN + SCALAR_FEATURES.index("digits")] = 9
    weight[3 * HIDDEN + SCALAR_FEATURES.index("relative_position")] = -1
    scorer = SentenceScorer(((weight, np.zeros(1, np.float32)),))
    statistics = PoolingStatistics(np.zeros(HIDDEN, np.float32), np.eye(HIDDEN, dtype=np.float32), scorer)
    return replace(model, statistics=statistics)


def run(model: ServedModel, *texts: str, **options: Any) -> list[Summary]:
    return asyncio.run(summarize(model, list(texts), SummarizeOptions(**options), RequestContext()))


def key(text: str) -> str:
    return (
        regex.sub(r"[^\p{L}\p{M}\p{N}]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip() or text
    )


def selected(summary: Summary) -> list[SummarySentence]:
    return [sentence for sentence in summary.sentences if sentence.selected]


@given(documents, lengths, choices)
@settings(max_examples=150)
def test_invariants(scoring: ServedModel, text: str, length: dict[str, Any], choice: dict[str, Any]) -> None:
    try:
        (summary,) = run(scoring, text, **length, **choice)
    except ValidationFailed as error:
        field = error.problems[0].field
        if field == "max_chars":  # less than the shortest grapheme of the text
            assert (
                min(len(match) for match in regex.findall(r"\X", text) if match.strip()) > length["max_chars"]
            )
        else:
            assert field == "input"
            assert not text.strip() or not len(scoring.encoder.encode(text))
        return
    position = 0
    for index, sentence in enumerate(summary.sentences):
        assert sentence.index == index
        assert text[sentence.start : sentence.end] == sentence.text != ""
        assert not text[position : sentence.start].strip()
        position = sentence.end
        assert 0 <= sentence.score <= 1
        assert sentence.cluster is None or choice["method"] == "kmeans"
    assert not text[position:].strip()

    chosen = selected(summary)
    assert chosen
    assert summary.summary_text.strip()
    assert summary.k == len(chosen)
    assert summary.method == choice["method"]
    assert len({key(sentence.text) for sentence in chosen}) == len(chosen)
    if choice["order"] == "position":
        assert summary.summary_text == joined([sentence.text for sentence in chosen])
    distinct = len({key(sentence.text) for sentence in summary.sentences})
    if "max_chars" in length:
        assert len(summary.summary_text) <= length["max_chars"]
    elif "ratio" in length:
        wanted = length["ratio"] * len(summary.sentences)
        assert summary.k == min(distinct, max(1, round(wanted + 1e-9))) or wanted % 1 == 0.5
    else:
        assert summary.k == min(distinct, length.get("num_sentences", DEFAULT_SENTENCES))


@given(st.lists(documents, min_size=1, max_size=4), lengths, choices)
@settings(max_examples=25)
def test_a_text_gets_the_same_summary_alone_and_among_others(
    scoring: ServedModel, texts: list[str], length: dict[str, Any], choice: dict[str, Any]
) -> None:
    texts = ["今天天气很好！", *texts]
    try:
        together = run(scoring, *texts, **length, **choice)
    except ValidationFailed:
        return
    assert [summary.index for summary in together] == list(range(len(texts)))
    for summary, text in zip(together, texts, strict=True):
        (alone,) = run(scoring, text, **length, **choice)
        assert alone.summary_text == summary.summary_text
        assert alone.prompt_tokens == summary.prompt_tokens


def test_equal_requests_get_equal_answers(bundle_dir: Any, model: ServedModel) -> None:
    text = "".join(SENTENCES[:9]) * 2
    again = local_model(bundle_dir, threads=1)
    for method in METHODS[:4]:
        assert run(model, text, method=method) == run(again, text, method=method)


def test_ratio_one_gives_every_distinct_sentence_back(model: ServedModel) -> None:
    text = "\n".join(SENTENCES)
    for method in METHODS[:4]:
        assert run(model, text, method=method, ratio=1)[0].summary_text == joined(SENTENCES)


@pytest.mark.parametrize(
    ("ratio", "count"), [(0.01, 1), (0.05, 1), (0.06, 2), (0.1, 3), (0.57, 14), (0.58, 15)]
)
def test_a_share_is_rounded_to_the_nearest_number_halves_up(
    model: ServedModel, ratio: float, count: int
) -> None:
    """As written: 0.58 of 25 is fourteen and a half, though in floating point it is a little less."""
    text = "".join(f"今天天气很好{number}次了。" for number in range(25))
    assert run(model, text, method="lead", ratio=ratio)[0].k == count


def test_clusters_give_one_sentence_each(model: ServedModel) -> None:
    fruit = ["我喜欢吃苹果。", "他喜欢吃苹果。", "我们喜欢吃苹果。"]
    news = ["新闻体育经济中国。", "体育新闻经济中国。", "经济新闻体育大中国。"]
    (summary,) = run(model, "".join([*fruit, *news]), num_sentences=2)
    assert [sentence.cluster for sentence in summary.sentences] == [0, 0, 0, 1, 1, 1]
    assert [sentence.cluster for sentence in selected(summary)] == [0, 1]
    for cluster in (0, 1):
        members = [sentence for sentence in summary.sentences if sentence.cluster == cluster]
        assert max(members, key=lambda sentence: sentence.score).selected


def test_short_sentences_are_a_last_resort(model: ServedModel) -> None:
    text = "好。今天天气很好！对吗？他们去公园了吗？"
    for method in METHODS[:4]:
        assert (
            run(model, text, method=method, num_sentences=2)[0].summary_text
            == "今天天气很好！他们去公园了吗？"
        )
    assert run(model, text, num_sentences=4)[0].summary_text == text
    assert run(model, "好。", num_sentences=2)[0].summary_text == "好。"


def test_room_that_is_left_is_not_filled_with_scraps(model: ServedModel) -> None:
    text = "今天天气很好！对吗？好。"
    for method in METHODS[:4]:
        assert run(model, text, method=method, max_chars=50)[0].summary_text == "今天天气很好！"
    assert run(model, "好。对吗？", method="lead", max_chars=50)[0].summary_text == "好。对吗？"


def test_lead_needs_no_model(model: ServedModel) -> None:
    (summary,) = run(replace(model, engine=None), "".join(SENTENCES[:5]), method="lead", num_sentences=2)  # type: ignore[arg-type]
    assert summary.summary_text == "".join(SENTENCES[:2])
    assert summary.prompt_tokens == 0


def test_rank_order_is_best_first(scoring: ServedModel) -> None:
    text = "我喜欢吃苹果。今天天气很好！价格是12元左右。"
    by_rank = run(scoring, text, method="scorer", num_sentences=2, order="rank")[0]
    assert by_rank.summary_text == "价格是12元左右。我喜欢吃苹果。"
    by_position = run(scoring, text, method="scorer", num_sentences=2)[0]
    assert by_position.summary_text == "我喜欢吃苹果。价格是12元左右。"


def test_a_sentence_longer_than_the_summary_is_cut_at_a_clause(model: ServedModel) -> None:
    text = "我喜欢吃苹果，他喜欢去公园，我们去看新闻。"
    assert run(model, text, max_chars=16, method="lead")[0].summary_text == "我喜欢吃苹果，他喜欢去公园，"
    assert run(model, "👨‍👩‍👧👨‍👩‍👧", max_chars=5, method="lead")[0].summary_text == "👨‍👩‍👧"
    with pytest.raises(ValidationFailed, match="max_chars: is 4, less than any character; ask for 5 or more"):
        run(model, "👨‍👩‍👧👨‍👩‍👧", max_chars=4)


def test_utf16_offsets(model: ServedModel) -> None:
    text = "😀今天天气很好！我喜欢吃苹果。"
    units = text.encode("utf-16-le")
    for sentence in run(model, text, offset_unit="utf16")[0].sentences:
        assert units[2 * sentence.start : 2 * sentence.end].decode("utf-16-le") == sentence.text


def test_diversity_passes_over_near_copies(model: ServedModel) -> None:
    text = "今天天气很好很好。今天天气很好好。今天天气很好很。中国经济新闻大。"
    plain = run(model, text, method="centroid", num_sentences=2)[0]
    diverse = run(model, text, method="centroid", num_sentences=2, diversity=0.7)[0]
    assert not plain.sentences[3].selected
    assert diverse.sentences[3].selected


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"num_sentences": 0}, "num_sentences"),
        ({"num_sentences": 2, "ratio": 0.5}, "ratio"),
        ({"ratio": 0.5, "max_chars": 9}, "max_chars"),
        ({"ratio": 0.0}, "ratio"),
        ({"ratio": 1.01}, "ratio"),
        ({"ratio": float("nan")}, "ratio"),
        ({"max_chars": 0}, "max_chars"),
        ({"diversity": -0.1}, "diversity"),
        ({"diversity": float("nan")}, "diversity"),
        ({"method": "scorer"}, "method"),
    ],
)
def test_options_out_of_range(model: ServedModel, options: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        run(model, "今天天气很好！", **options)
    assert caught.value.problems[0].field == field


@pytest.mark.parametrize("text", ["", "  \n", "\u200b"])
def test_blank_text(model: ServedModel, text: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        run(model, "今天天气很好！", text)
    assert caught.value.problems[0].field == "input.1"


def test_a_classifier_cannot_summarize(tmp_path: Any) -> None:
    classifier = local_model(toy_bundle(tmp_path, "labels", task="classify"))
    with pytest.raises(ValidationFailed, match="no sentence vectors"):
        run(classifier, "今天天气很好！")


def test_the_scorer_keeps_to_its_pooling(scoring: ServedModel) -> None:
    with pytest.raises(ValidationFailed, match="mean vectors"):
        run(scoring, "今天天气很好！", method="scorer", pooling="max")


def test_a_document_of_100000_characters_takes_seconds(model: ServedModel) -> None:
    random = np.random.default_rng(0)
    letters = np.array(list("我喜欢吃苹果今天气很好不坏错他说的是了在人们去公园吧新闻体育经济中国大小上下"))
    text = "".join("".join(random.choice(letters, 30)) + "。" for _ in range(3300))
    assert len(text) > 100_000
    for options in (
        {"num_sentences": 10},
        {"ratio": 0.3, "diversity": 0.3},
        {"method": "textrank", "max_chars": 2000},
    ):
        started = time.process_time()
        (summary,) = run(model, text, **options)
        assert time.process_time() - started < 20
        assert summary.k == {10: 10}.get(options.get("num_sentences"), summary.k)
        assert len(summary.sentences) == 3300


def test_many_short_texts_do_not_hold_up_the_event_loop(tmp_path: Any) -> None:
    """Together they are as long as one that is read beside the loop."""
    model = local_model(toy_bundle(tmp_path, "encoder"))
    texts = ["\n".join(SENTENCES * 14)] * 12

    async def story() -> float:
        longest = 0.0

        async def tick() -> None:
            nonlocal longest
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.001)
                longest = max(longest, time.perf_counter() - before)

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        await summarize(model, texts, SummarizeOptions(num_sentences=100), RequestContext())
        ticking.cancel()
        return longest / (time.perf_counter() - began)

    assert len(texts[0]) < LONG_TEXT < sum(map(len, texts))
    assert asyncio.run(story()) < 0.5
