"""What a summary may choose from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.tasks.summarize.segments import (
    LONGEST_OTHER,
    LONGEST_WIDE,
    Tier,
    joined,
    segment_document,
)

some_text = st.lists(
    st.sampled_from(
        [
            "我喜欢苹果",
            "。",
            "！",
            "，",
            "；",
            "\n",
            "\n\n",
            " ",
            "“",
            "”",
            "Hello world",
            ". ",
            "12",
            "—",
            "é",
            "👨‍👩‍👧",
            "好" * 30,
        ]
    )
    | st.characters(),
    max_size=40,
).map("".join)


@given(some_text, st.none() | st.integers(1, 20))
def test_only_white_space_lies_outside_the_sentences(text: str, max_chars: int | None) -> None:
    position = 0
    for segment in segment_document(text, max_chars):
        assert not text[position : segment.start].strip()
        assert segment.text == text[segment.start : segment.end] == segment.text.strip() != ""
        position = segment.end
    assert not text[position:].strip()


@given(some_text)
def test_no_sentence_passes_the_limit_of_its_script(text: str) -> None:
    for segment in segment_document(text * 5):
        assert len(segment) <= (LONGEST_WIDE if segment.wide else LONGEST_OTHER)


def test_run_on_text_is_cut_into_parts_of_about_the_same_length() -> None:
    lengths = [len(segment) for segment in segment_document("我们今天去公园玩了一天，" * 34)]
    assert sum(lengths) == 408
    assert len(lengths) == 3
    assert max(lengths) - min(lengths) < 60
    words = segment_document("one two three four five " * 40)
    assert len(words) == 2
    assert all(segment.text.endswith(("one", "two", "three", "four", "five")) for segment in words)


def test_tiers_follow_the_script() -> None:
    tiers = [
        (s.text, s.tier, s.wide)
        for s in segment_document("好的。我喜欢吃苹果。Yes. This is long enough. 12.5%\n----")
    ]
    assert tiers == [
        ("好的。", Tier.SHORT, True),
        ("我喜欢吃苹果。", Tier.SENTENCE, True),
        ("Yes.", Tier.SHORT, False),
        ("This is long enough.", Tier.SENTENCE, False),
        ("12.5%", Tier.NO_LETTERS, False),
        ("----", Tier.NO_LETTERS, False),
    ]


def test_duplicates_are_known_whatever_their_case_width_and_marks() -> None:
    segments = segment_document(
        "今天天气很好。Hello world!\n今天天气很好！\nＨＥＬＬＯ  WORLD.\n价格3.5元。价格35元。"
    )
    assert [segment.original for segment in segments] == [0, 1, 0, 1, 4, 5]


def test_paragraph_starts() -> None:
    segments = segment_document("第一句话在这里。第二句话在这里。\n\n第三句话在这里。")
    assert [segment.paragraph_start for segment in segments] == [True, False, True]


def test_sentences_are_cut_only_where_none_is_short_enough() -> None:
    text = "今天天气很好，我们去公园。他走了。"
    assert [s.text for s in segment_document(text, 13)] == ["今天天气很好，我们去公园。", "他走了。"]
    cut = segment_document(text, 8)
    assert [s.text for s in cut] == ["今天天气很好，", "我们去公园。", "他走了。"]
    assert [s.tier for s in cut] == [Tier.SENTENCE, Tier.FRAGMENT, Tier.SHORT]


def test_joining_puts_spaces_only_between_spaced_scripts() -> None:
    assert joined([]) == ""
    assert joined(["你好。", "再见。"]) == "你好。再见。"
    assert joined(["One.", "Two.", "三。", "Four."]) == "One. Two.三。Four."
    assert joined(["他说：“好。”", "“嗯……”", "走。"]) == "他说：“好。”“嗯……”走。"
    assert joined(["He said “no.”", "“Why?”"]) == "He said “no.” “Why?”"
