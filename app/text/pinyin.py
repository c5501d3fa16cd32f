"""Which Chinese characters sound alike, tones aside: what people who type by sound take for one another."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

Likeness = Literal["same", "near"]

# Sounds that many speakers do not tell apart: flat and retroflex initials, n and l, front and back nasals.
_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"))
_HAS_VOWEL = re.compile("[aeiouv]")  # not so: 嗯 n, 呣 m, 哼 hng


@cache
def readings() -> MappingProxyType[str, frozenset[str]]:
    """The syllables of every character in the table, as 和 -> he, huo. Some 8,800 characters."""
    table: dict[str, set[str]] = {}
    for line in files("app.text").joinpath("pinyin.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        syllable, characters = line.split(" ")
        for character in characters:
            table.setdefault(character, set()).add(syllable)
    return MappingProxyType({character: frozenset(syllables) for character, syllables in table.items()})


def sound_alikes(character: str) -> dict[str, Likeness]:
    """Other characters that share a reading with ``character`` (``same``) or nearly do (``near``).

    Empty for what is not in the table.
    """
    same, near = _by_sound()
    alike: dict[str, Likeness] = {}
    for syllable in readings().get(character, frozenset()):
        alike.update(dict.fromkeys(near[_merge_accents(syllable)], "near"))
    for syllable in readings().get(character, frozenset()):
        alike.update(dict.fromkeys(same[syllable], "same"))
    alike.pop(character, None)
    return alike


@cache
def _by_sound() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Characters by syllable, and by the spelling of syllables that accents merge."""
    same: dict[str, list[str]] = {}
    near: dict[str, list[str]] = {}
    for character, syllables in readings().items():
        for syllable in syllables:
            same.setdefault(syllable, []).append(character)
            near.setdefault(_merge_accents(syllable), []).append(character)
    return same, near


@cache
def _merge_accents(syllable: str) -> str:
    """One spelling for syllables that differ only where accents do."""
    if not _HAS_VOWEL.search(syllable):
        return syllable
    for initial, merged in _INITIALS:
        if syllable.startswith(initial):
            syllable = merged + syllable.removeprefix(initial)
            break
    return syllable.removesuffix("g")
