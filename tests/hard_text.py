"""Texts that break naive offset arithmetic, as a hypothesis strategy."""

from __future__ import annotations

from hypothesis import strategies as st

FRAGMENTS = (
    "我喜欢吃苹果。",
    "错",
    "“错”",
    "‘’—…～",
    "『错』",
    "①②㎏½",
    "ＡＢＣ１２３",
    "，！？；：（）％",
    "cafe\u0301",
    "e\u0301\u0302o",
    "\u0301",
    "한국어",
    "\u1100\u1161\u11a8",
    "👨\u200d👩\u200d👧",
    "🇨🇳🇨",
    "👍🏽",
    "1\ufe0f\u20e3",
    "🍎",
    "\u200b",
    "\ufeff",
    "\u3000",
    "\u200d",
    "𝒚𝒛",
    "𠮷",
    "[MASK]",
    "[CLS]",
    "[SEP]",
    "[PAD]",
    "[UNK]",
    "##ing",
    "ﬁne",
    "İstanbul",
    "ẞ",
    "iPhone15 Pro！",
    "don't",
    "https://example.com/a.html?b=1",
    "me@example.org",
    "3.14，1,000.50元",
    "bad apples",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\x00",
    "שלום",
    "नमस्ते",
    "ไทย",
    "a" * 120,
)

hard_text = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=4)), max_size=12).map("".join)
"""Fragments of the list above in any order, with arbitrary characters between them; no lone surrogates."""
