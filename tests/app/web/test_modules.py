"""The small pure modules: links, curl, Server-Timing, lengths, ranks."""

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.browser import Call

pytestmark = pytest.mark.browser

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


@given(text=TEXT, model=TEXT)
@settings(max_examples=60, deadline=None)
def test_a_link_gives_back_what_was_put_in(call: Call, text: str, model: str) -> None:
    link = call("state", "formatHash", "detect", {"text": text, "model": model})
    given_back = call("state", "parseHash", link)
    assert given_back["tab"] == "detect"
    assert given_back["settings"] == {
        key: value for key, value in (("text", text), ("model", model)) if value
    }


def test_a_link_leaves_out_a_text_that_is_too_long_for_it(call: Call) -> None:
    assert call("state", "formatHash", "classify", {"text": "字" * 6001, "top_k": "3"}) == "#classify?top_k=3"
    assert len(call("state", "formatHash", "classify", {"text": "字" * 6000})) > 6000


@pytest.mark.parametrize("hash", ["", "#", "#?text=a", "#<script>", "#Detect"])
def test_an_address_that_says_nothing_is_no_state(call: Call, hash: str) -> None:
    assert call("state", "parseHash", hash) is None


@given(text=TEXT)
@settings(max_examples=60, deadline=None)
def test_the_curl_command_survives_the_shell(call: Call, text: str) -> None:
    words = shlex.split(call("curl", "curlCommand", "classify", {"input": text}))
    assert words[:2] == ["curl", "-sS"]
    assert words[2].endswith("/classify")
    assert json.loads(words[words.index("--data-raw") + 1]) == {"input": text}


def test_server_timing_is_read_as_the_standard_writes_it(call: Call) -> None:
    header = 'tokenize;dur=0.41, queue;desc="waiting";dur=3, cache, inference; DUR=12.5'
    assert call("api", "parseServerTiming", header) == [
        {"name": "tokenize", "duration": 0.41},
        {"name": "queue", "duration": 3},
        {"name": "inference", "duration": 12.5},
    ]
    assert call("api", "parseServerTiming", None) == []


@pytest.mark.parametrize(
    ("settings_", "field"),
    [
        ({"unit": "num_sentences", "length": "4"}, {"num_sentences": 4}),
        ({"unit": "ratio", "length": "35"}, {"ratio": 0.35}),
        ({"unit": "max_chars", "length": "200"}, {"max_chars": 200}),
    ],
)
def test_a_request_names_exactly_one_length(
    call: Call, settings_: dict[str, str], field: dict[str, float]
) -> None:
    assert call("length", "lengthField", settings_) == field


def test_cluster_letters_go_on_after_z(call: Call) -> None:
    assert [call("clusters", "clusterLetter", number) for number in (0, 25, 26, 51, 52)] == [
        "A",
        "Z",
        "AA",
        "AZ",
        "BA",
    ]


def test_ranks_go_by_score_and_then_by_reading_order(module_page) -> None:
    sentences = [
        {"index": 0, "score": 0.5, "selected": True},
        {"index": 1, "score": 0.9, "selected": False},
        {"index": 2, "score": 0.7, "selected": True},
        {"index": 3, "score": 0.5, "selected": True},
    ]
    script = """(sentences) => import("/js/clusters.js").then((m) => [...m.rankSelected(sentences)])"""
    assert dict(module_page.evaluate(script, sentences)) == {2: 1, 0: 2, 3: 3}


def test_a_model_is_described_with_the_baseline_beside_the_figure(call: Call) -> None:
    metric = {
        "data_set": "reviews",
        "metric": "accuracy",
        "value": 0.9012,
        "baseline": "TF-IDF",
        "baseline_value": 0.874,
    }
    call("i18n", "setLanguage", "en")
    assert call("about", "aboutModel", {"experimental": False, "metrics": [metric]}) == (
        "reviews: accuracy 0.901 (baseline TF-IDF 0.874)"
    )
    bare = {**metric, "baseline": None, "baseline_value": None}
    described = call("about", "aboutModel", {"experimental": True, "metrics": [bare]})
    assert described == "Experimental model: take its results with care · reviews: accuracy 0.901"
    assert call("about", "aboutModel", {"experimental": False, "metrics": []}) == ""
    assert call("about", "aboutModel", None) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0%"), (0.0004, "<0.1%"), (0.5, "50%"), (0.98765, "98.8%"), (0.9995, ">99.9%"), (1, "100%")],
)
def test_what_is_not_certain_never_reads_as_certain(call: Call, value: float, shown: str) -> None:
    assert call("i18n", "formatPercent", value) == shown
