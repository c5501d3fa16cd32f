"""Unicode cleaning, language tags and digests: what happens to a document before the tokenizer sees it.

Cleaning removes what no reader sees and no tokenizer should learn. Case, accents, full-width forms and the
like are left alone: they belong to the tokenizer's normaliser, which the service runs too.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Literal

Tag = Literal["zh", "en", "other"]
TAGS: tuple[Tag, ...] = ("zh", "en", "other")

# Controls (but line breaks and tabs), soft hyphens, zero-width and direction marks, byte order marks,
# interlinear annotations, replacement characters, private use, lone surrogates and non-characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\uffff\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff]+"
)
_LINE_END = re.compile(r"[ \t]*(?:\r\n?|[\n\x0b\x0c\x85\u2028\u2029])\s*")
_SPACES = re.compile(r"[ \t\xa0\u2000-\u200a\u202f\u205f\u3000]{2,}|[\t\xa0\u2000-\u200a\u202f\u205f\u3000]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]+")
_LANGUAGE_SAMPLE = 4000


def clean_text(text: str) -> str:
    """NFC text without invisible characters, with single spaces, ``\\n`` line breaks, and no empty lines.

    Idempotent: cleaning twice changes nothing.
    """
    text = _INVISIBLE.sub("", text)
    text = unicodedata.normalize("NFC", text)
    text = _SPACES.sub(" ", text)
    text = _LINE_END.sub("\n", text)
    return text.strip()


def detect_language(text: str) -> Tag:
    """``zh`` when Han characters carry the text, ``en`` when Latin letters do, else ``other``.

    One Han character weighs as much as three Latin letters, about the length of an English word in Chinese.
    English is not told from other languages in Latin script: the corpus is meant to be Chinese and English.
    """
    sample = text[:_LANGUAGE_SAMPLE]
    han = 3 * sum(map(len, _HAN.findall(sample)))
    latin = sum(map(len, _LATIN.findall(sample)))
    if han + latin <= 0.3 * len(sample):
        return "other"
    return "zh" if han >= latin else "en"


def text_digest(text: str) -> int:
    """64-bit digest of a cleaned document; line breaks and spaces do not change it."""
    packed = "".join(text.split())
    return int.from_bytes(hashlib.blake2b(packed.encode(), digest_size=8).digest(), "little")


def is_held_out(digest: int, share: float) -> bool:
    """Whether the document belongs to the held-out split: a function of its text and ``share`` alone."""
    return digest < share * 2.0**64
