import asyncio
import threading

import pytest

from app.bundle_files import read_bundle
from app.errors import ValidationFailed
from app.scheduler.engine import RequestContext
from app.tasks.inputs import encode_texts, off_loop, prepare_texts
from app.tasks.model import load_encoder
from app.text.encoder import LONG_TEXT
from app.text.windows import Window
from tests.toy import toy_bundle


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(read_bundle(toy_bundle(tmp_path_factory.mktemp("models"), "encoder", max_tokens=12)))


@pytest.mark.parametrize("text", ["", " ", "\n\t\u3000", "\u200b\ufeff", "\x00"])
def test_a_text_without_tokens_is_refused_by_name(encoder, text):
    with pytest.raises(ValidationFailed, match=r"input\.1: ") as caught:
        asyncio.run(encode_texts(encoder, ["好", text], RequestContext()))
    assert [(problem.field, problem.code) for problem in caught.value.problems] == [("input.1", "empty")]
    with pytest.raises(ValidationFailed, match=r"^text_pair: "):
        asyncio.run(encode_texts(encoder, [text], RequestContext(), field="text_pair"))


def test_a_lone_surrogate_is_refused_by_name(encoder):
    with pytest.raises(ValidationFailed, match="input: holds half of a surrogate pair at position 1"):
        asyncio.run(encode_texts(encoder, ["好\ud83c"], RequestContext()))


def test_the_time_is_booked_even_for_a_refusal(encoder):
    context = RequestContext()
    asyncio.run(encode_texts(encoder, ["好"], context))
    first = context.timing.tokenize
    assert first > 0
    with pytest.raises(ValidationFailed):
        asyncio.run(prepare_texts(encoder, [""], context, truncate=False))
    assert context.timing.tokenize > first


def test_long_work_leaves_the_event_loop_and_short_work_stays():
    async def where(characters):
        return await off_loop(characters, threading.get_ident)

    assert asyncio.run(where(LONG_TEXT - 1)) == threading.get_ident()
    assert asyncio.run(where(LONG_TEXT)) != threading.get_ident()


def test_the_event_loop_turns_while_a_long_text_is_tokenized(encoder):
    async def turns():
        work = asyncio.create_task(encode_texts(encoder, ["我喜欢apple。" * 30_000], RequestContext()))
        count = 0
        while not work.done():
            await asyncio.sleep(0.001)
            count += 1
        return count

    assert asyncio.run(turns()) > 20


def test_windows_end_at_sentences_and_repeat_a_quarter(encoder):
    text = "我喜欢。" * 5
    (item,) = asyncio.run(prepare_texts(encoder, [text], RequestContext(), truncate=False))
    assert item.windows == [Window(0, 8), Window(6, 16), Window(14, 20)]
    assert not item.truncated


def test_truncation_is_told(encoder):
    texts = ["我喜欢。" * 5, "我喜欢。"]
    cut, whole = asyncio.run(prepare_texts(encoder, texts, RequestContext(), truncate=True))
    assert (cut.windows, cut.truncated) == ([Window(0, 10)], True)
    assert (whole.windows, whole.truncated) == ([Window(0, 4)], False)
