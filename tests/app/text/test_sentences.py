"""Sentence splitting: a table of hard cases, and properties that hold for any text."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from app.text.sentences import LONG_SENTENCE, Span, split_long, split_sentences

HARD = (
    "。！？；…”’」』）)】》“‘「『（(【《，、：；,.!?;: \n\r\t\u3000\u200b\u200d\u0301\ufe0f\"'-—的我了aAé1.ab"
)
ALPHABET = [
    *HARD,
    "😀",
    "👨‍👩‍👧",
    "🇨🇳",
    "각",
    "𝒚",
    "①",
    "½",
    "Ａ",
    "Mr. ",
    "https://a.b/c?d=1",
    "\r\n",
    "……",
    "一.",
    "x" * 60,
]
hard_text = st.lists(st.sampled_from(ALPHABET) | st.characters(), max_size=60).map("".join)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


def stripped(text: str) -> list[str]:
    return [sentence.strip() for sentence in sentences(text)]


CHINESE = [
    (
        "他说：“今天天气很好！我们去公园吧？”然后就走了。",
        ["他说：“今天天气很好！", "我们去公园吧？”", "然后就走了。"],
    ),
    ("“真的吗？！”她问道……（我不知道。）", ["“真的吗？！”", "她问道……", "（我不知道。）"]),
    ("“走！”，他说。", ["“走！”，他说。"]),
    ("“加油！”的喊声响起。", ["“加油！”的喊声响起。"]),
    ("他居然（真的吗？）走了。", ["他居然（真的吗？）走了。"]),
    ("《谁动了我的奶酪？》很好看。", ["《谁动了我的奶酪？》很好看。"]),
    ("他居然（！）来了。好。", ["他居然（！）来了。", "好。"]),
    ("我……我不知道。", ["我……我不知道。"]),
    ("她走了……后来呢？", ["她走了……", "后来呢？"]),
    ("甲说：「好。」乙说：『不。』", ["甲说：「好。」", "乙说：『不。』"]),
    ("他喊：“他说‘走吧！’”大家笑了。", ["他喊：“他说‘走吧！’”", "大家笑了。"]),
    ('他说:"你好。"然后走了。', ['他说:"你好。"', "然后走了。"]),
    ("好吃！😋下次再来。", ["好吃！😋", "下次再来。"]),
    ("！！！重要通知。完", ["！！！重要通知。", "完"]),
    ("第1.5节讲了3.14；价格是￥1,000.50元。", ["第1.5节讲了3.14；价格是￥1,000.50元。"]),
    ("一.概述\n二、内容", ["一.概述", "二、内容"]),
    ("真的吗?我不信!走吧.好", ["真的吗?", "我不信!", "走吧.", "好"]),
    ("见https://zh.wikipedia.org/wiki/中国?b=1。好", ["见https://zh.wikipedia.org/wiki/中国?b=1。", "好"]),
    ("多读书；好读书；读好书。", ["多读书；好读书；读好书。"]),
    ("床前明月光\n疑是地上霜\n\n举头望明月\n", ["床前明月光", "疑是地上霜", "举头望明月"]),
    ("# 标题\n\n1. 第一项\n- 第二项。完", ["# 标题", "1. 第一项", "- 第二项。", "完"]),
    ("今日は晴れです。明日は？", ["今日は晴れです。", "明日は？"]),
]
LATIN = [
    (
        'Dr. Smith paid $3.14 in Jan. 2020. "Really?" she asked.',
        ["Dr. Smith paid $3.14 in Jan. 2020.", '"Really?" she asked.'],
    ),
    ("See https://a.b/c?d=1. Next.", ["See https://a.b/c?d=1.", "Next."]),
    ("I live in the U.S. It is big, e.g. wide.", ["I live in the U.S.", "It is big, e.g. wide."]),
    ("1. Buy milk. Then eggs.\n2. Go home.", ["1. Buy milk.", "Then eggs.", "2. Go home."]),
    (
        "This line was broken at its right margin and so it\ngoes on here. It ends.\nA line\nA title",
        [
            "This line was broken at its right margin and so it\ngoes on here.",
            "It ends.",
            "A line",
            "A title",
        ],
    ),
    ("Roses are red\nViolets are blue", ["Roses are red", "Violets are blue"]),
]
MIXED = [
    (
        "我用iPhone拍照. 很好看!I love it. 然后走了。",
        ["我用iPhone拍照.", "很好看!", "I love it.", "然后走了。"],
    ),
    ("Dr. Smith来了。Mr. 王也来了。", ["Dr. Smith来了。", "Mr. 王也来了。"]),
    ("他说“OK! Let's go.”我们走。", ["他说“OK! Let's go.”", "我们走。"]),
    ("v2.0.1发布了。Let's go!好的。", ["v2.0.1发布了。", "Let's go!", "好的。"]),
    ("He left……我也是。", ["He left……", "我也是。"]),
    ("他大喊“Stop!”，我停了。", ["他大喊“Stop!”，我停了。"]),
    ("我用Yahoo!、Google和Bing。", ["我用Yahoo!、Google和Bing。"]),
    ("“Oh my God!”的时候很多。", ["“Oh my God!”的时候很多。"]),
    ("标题是“What is AI?”：一篇综述。", ["标题是“What is AI?”：一篇综述。"]),
    ("他喊：“Stop!”。我停了。", ["他喊：“Stop!”。", "我停了。"]),
    ("Wow!！真好。Are you?？是吗", ["Wow!！", "真好。", "Are you?？", "是吗"]),
    ("I say stop!的确。", ["I say stop!", "的确。"]),
    ("He left.．我们走吧。", ["He left.", "．我们走吧。"]),
    ("用了 3.5 GB 内存。Great！Next one.", ["用了 3.5 GB 内存。", "Great！", "Next one."]),
]


@pytest.mark.parametrize(("text", "expected"), [*CHINESE, *LATIN, *MIXED])
def test_hard_cases(text: str, expected: list[str]) -> None:
    assert stripped(text) == expected


@pytest.mark.parametrize("space", ["\u3000", "\xa0", "\u2003", "\u2028"])
def test_a_letter_and_a_wide_space_before_a_full_stop(space: str) -> None:
    text = f"See Figure A{space}. Then go home. 好。"
    assert "".join(sentences(text)) == text
    assert sentences(text)[-1] == "好。"


def test_a_splitter_that_panics_ends_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # as pyo3's
        pass

    def panic(*_: object) -> None:
        raise PanicException("end byte index 3 is not a char boundary")

    monkeypatch.setattr("sentencex.get_sentence_boundaries", panic)
    assert sentences("He left. She stayed.好。") == ["He left. She stayed.好。"]
    monkeypatch.setattr(
        "sentencex.get_sentence_boundaries", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        sentences("He left. She stayed.")


def test_long_chinese_sentence_is_split_into_clauses() -> None:
    clauses = [
        "一是坚持以人民为中心的发展思想，着力保障和改善民生；",
        "二是坚持深化改革开放，扎实推进创新驱动，激发活力；",
        "三是坚持底线思维。",
    ]
    assert len("".join(clauses)) > LONG_SENTENCE - 5
    assert sentences("会议指出，" + "".join(clauses))[1:] == clauses[1:]
    halved = [clause.replace("；", ";") for clause in clauses]
    assert sentences("会议指出，" + "".join(halved))[1:] == halved[1:]


def test_empty_and_blank() -> None:
    assert split_sentences("") == []
    assert split_sentences(" \n\u3000") == [Span(0, 3)]


def test_half_of_a_surrogate_pair_is_a_character_like_others() -> None:
    text = "It came. Then \ud800 went. 我看到了\udfff。It came again."
    assert sentences(text) == ["It came. ", "Then \ud800 went. ", "我看到了\udfff。", "It came again."]


def test_white_space_of_whatever_kind_is_no_sentence() -> None:
    kinds = [character for character in map(chr, range(0x110000)) if character.isspace()]
    assert len(kinds) > 25
    for space in kinds:
        for text in (f"It came. {space}", f"好。{space}" + "好。", f"a. {space}b c."):
            assert all(sentence.strip() for sentence in sentences(text)), ascii(text)


@given(hard_text)
def test_sentences_tile_the_text(text: str) -> None:
    spans = split_sentences(text)
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(left.end == right.start for left, right in pairwise(spans))
    assert all(start < end for start, end in spans)


@given(hard_text)
def test_only_blank_text_has_a_blank_sentence(text: str) -> None:
    if text.strip():
        assert all(sentence.strip() for sentence in sentences(text))


@given(hard_text)
def test_no_sentence_cuts_a_grapheme(text: str) -> None:
    ends = {match.end() for match in regex.finditer(r"\X", text)}
    assert all(span.end in ends for span in split_sentences(text))


@given(st.lists(st.text("我你他好走了，", min_size=4, max_size=20).map(lambda s: s + "。"), max_size=20))
def test_plain_chinese_sentences_come_back(parts: list[str]) -> None:
    parts = [part if part[:-1].strip("，") else "好。" for part in parts]
    parts = [part.strip("，") for part in parts]
    assert sentences("".join(parts)) == parts


@given(hard_text, st.integers(1, 30))
def test_split_long_tiles_within_the_limit(text: str, limit: int) -> None:
    span = Span(0, len(text))
    pieces = split_long(text, span, limit)
    assert "".join(text[start:end] for start, end in pieces) == text
    ends = {match.end() for match in regex.finditer(r"\X", text)}
    for start, end in pieces:
        assert end in ends or text == ""
        assert end - start <= limit or regex.fullmatch(r"\X", text[start:end])


def test_split_long_prefers_semicolons_then_commas_then_spaces() -> None:
    text = "一二三，四五；六七，八九十。"
    assert split_long(text, Span(0, len(text)), 9) == [Span(0, 7), Span(7, 14)]
    assert split_long("一二三四，五六七八", Span(0, 9), 8)[0] == Span(0, 5)
    assert split_long("abcd efgh", Span(0, 9), 8)[0] == Span(0, 5)
    assert split_long("一二三四五六", Span(1, 6), 2) == [Span(1, 3), Span(3, 5), Span(5, 6)]
    assert split_long("e\u0301" * 3, Span(0, 6), 3) == [Span(0, 2), Span(2, 4), Span(4, 6)]
    with pytest.raises(ValueError, match="at least 1"):
        split_long("abc", Span(0, 3), 0)


@pytest.mark.parametrize(
    "unit",
    [
        "我们来了。",
        "“好。",
        "Abc def. ",
        "“a. ",
        "（",
        '?"',
        "好\u0301。",
        "1. ",
        "this is a wrapped line of some words\n",
    ],
)
def test_time_is_linear(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = time.process_time()
        split_sentences(text)
        split_long(text, Span(0, len(text)), 100)
        return time.process_time() - started

    seconds(5_000)
    # Four times the text: a square law would take sixteen times as long.
    small = min(seconds(20_000) for _ in range(3))
    # On a busy machine one measurement may be anything; the quickest of a few is not.
    large = min(seconds(80_000) for _ in range(3))
    assert large < 10 * small + 0.2


def test_a_row_of_flags_after_a_mark_is_no_trap() -> None:
    text = "好！" + "🇨🇳" * 20_000
    started = time.process_time()
    spans = split_sentences(text)
    assert time.process_time() - started < 2
    assert spans[-1].end == len(text)
