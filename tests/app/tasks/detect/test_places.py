import asyncio

import pytest

from app.bundle_files import read_bundle
from app.scheduler.engine import RequestContext
from app.tasks.detect.places import LONGEST_SPAN, find_place
from app.tasks.detect.units import FlaggedSpan
from app.tasks.inputs import prepare_texts
from app.tasks.model import load_encoder
from app.text.windows import Window
from tests.toy import toy_bundle


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(read_bundle(toy_bundle(tmp_path_factory.mktemp("models"), "encoder", max_tokens=22)))


def prepare(encoder, text):
    (item,) = asyncio.run(prepare_texts(encoder, [text], RequestContext(), truncate=False))
    return item


def span(start, end, tokens):
    return FlaggedSpan(start, end, 0.9, tuple(tokens))


def test_a_place_names_what_stands_there(encoder):
    place = find_place(3, prepare(encoder, "吃 iPhone15。"), span(2, 10, [1, 2, 3]))
    assert place.window == (3, 0)
    assert place.text == "iPhone15"
    assert place.surfaces == ("iPhone", "1", "5")
    assert place.gaps == ("", "", "")
    assert [encoder.pieces[index] for index in place.ids] == ["iphone", "##1", "##5"]


def test_a_span_is_repaired_where_it_has_most_context(encoder):
    item = prepare(encoder, "我" * 40)
    assert item.windows == [Window(0, 20), Window(15, 35), Window(30, 40)]
    for token, window in [(0, 0), (15, 0), (16, 0), (17, 0), (18, 1), (34, 2), (39, 2)]:
        place = find_place(0, item, span(token, token + 1, [token]))
        assert place.window == (0, window)
        assert place.positions.tolist() == [token - item.windows[window].start]


def test_a_span_that_no_window_holds_whole_has_no_place(encoder):
    item = prepare(encoder, "我" * 40)
    assert find_place(0, item, span(14, 21, range(14, 21))) is None
    assert find_place(0, item, span(15, 20, range(15, 20))) is not None


def test_a_span_that_is_too_long_or_cuts_a_token_has_no_place(encoder):
    item = prepare(encoder, "apple我我我我我我我我我")
    assert find_place(0, item, span(5, 5 + LONGEST_SPAN, range(1, 1 + LONGEST_SPAN))) is not None
    assert find_place(0, item, span(5, 6 + LONGEST_SPAN, range(1, 2 + LONGEST_SPAN))) is None
    assert find_place(0, item, span(1, 5, [0])) is None
