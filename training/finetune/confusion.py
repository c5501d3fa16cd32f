"""What people write by mistake: characters that sound or look alike, English words taken for others."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from random import Random

from app.text.shapes import shape_alikes
from training.errors import UserError

CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
# Two places in the text can hold a character by chance; a rarer one is no likely slip.
_RARE = 2
# Share of sound-alikes that are not quite homophones (zh for z, ing for in), which accents confuse.
_NEAR_SHARE = 0.2
_NEAR_SOUNDS = (
    ("zh", "z"),
    ("ch", "c"),
    ("sh", "s"),
    ("ang", "an"),
    ("eng", "en"),
    ("ing", "in"),
    ("iang", "ian"),
)

# Words that learners and fast typists take for one another.
_ENGLISH_SETS = """
their there they're|its it's|then than|your you're|to too two|affect effect|accept except|advice advise
lose loose|were where we're|whose who's|quiet quite|weather whether|principal principle|passed past
bought brought|desert dessert|a an the|in on at|for to of|is are|was were|has have|do does|this these
that those|much many|few little|he she|his her|by with|from of|about of|and or|who which|say tell|make do
look see|since for|during while|other another|also too
"""


@dataclass(frozen=True)
class Confusions:
    """Candidates by character or lower-case word.

    ``sound``, ``near``, ``shape``: candidates by Chinese character. ``words``: by English word.
    ``common``: the characters of the text, drawn by the root of their frequency.
    """

    sound: dict[str, list[str]]
    near: dict[str, list[str]]
    shape: dict[str, list[str]]
    words: dict[str, list[str]]
    counts: Counter[str] = field(default_factory=Counter)
    common: list[str] = field(default_factory=list)
    cumulative: list[float] = field(default_factory=list)

    def sound_alike(self, character: str, random: Random) -> str | None:
        """A character that sounds like ``character``, frequent ones likelier; None where none is known."""
        near, same = self.near.get(character, []), self.sound.get(character, [])
        candidates = near if near and (not same or random.random() < _NEAR_SHARE) else same
        if not candidates:
            return None
        return random.choices(candidates, [self.counts[c] ** 0.5 for c in candidates])[0]

    def shape_alike(self, character: str, random: Random) -> str | None:
        """A look-alike of ``character``, or None where none is known."""
        candidates = self.shape.get(character)
        return random.choice(candidates) if candidates else None

    def random_character(self, character: str, random: Random) -> str | None:
        """Any other character of the text."""
        if len(self.common) < 2:
            return None
        while (found := random.choices(self.common, cum_weights=self.cumulative)[0]) == character:
            pass
        return found

    def wrong_word(self, word: str, random: Random) -> str | None:
        """A word taken for ``word``, or one of its other forms (plural, past, -ing); None for short words."""
        candidates = self.words.get(word.lower())
        if candidates:
            return _with_case(random.choice(candidates), word)
        if len(word) < 4:
            return None
        for ending in ("ing", "ed", "s"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                return word[: -len(ending)]
        return word + random.choice(("s", "ed", "ing"))


def _with_case(word: str, model: str) -> str:
    return word[0].upper() + word[1:] if model[0].isupper() else word


def build_confusions(texts: Iterable[str], shape_sets: Path | None = None) -> Confusions:
    """Tables for the characters that ``texts`` hold. Sounds come from pypinyin (MIT), tones ignored; shapes
    from ``shape_sets``, by default from ``app.text.shapes``.

    Raises:
        UserError: pypinyin is not installed, or ``shape_sets`` cannot be read.
    """
    counts = Counter(character for text in texts for character in CHINESE.findall(text))
    kept = [character for character, count in counts.items() if count >= _RARE]
    sound, near = _sound_tables(kept) if kept else ({}, {})
    common = sorted(kept)
    return Confusions(
        sound=sound,
        near=near,
        shape=read_shape_sets(shape_sets) if shape_sets else _shapes(kept),
        words=_english_table(),
        counts=counts,
        common=common,
        cumulative=list(accumulate(counts[character] ** 0.5 for character in common)),
    )


def _sound_tables(characters: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    try:
        from pypinyin import Style, pinyin
    except ImportError:
        raise UserError("sound_alike errors need pypinyin: pip install -e '.[train]'") from None
    # A character's commonest reading only: rare readings would pair characters that nobody confuses.
    readings = {c: pinyin(c, style=Style.NORMAL)[0][0] for c in characters}
    by_sound, by_blurred = defaultdict(list), defaultdict(list)
    for character, reading in readings.items():
        by_sound[reading].append(character)
        by_blurred[blurred(reading)].append(character)
    sound = {c: [o for o in by_sound[r] if o != c] for c, r in readings.items()}
    near = {c: [o for o in by_blurred[blurred(r)] if readings[o] != r] for c, r in readings.items()}
    return sound, near


def blurred(reading: str) -> str:
    """Pinyin with the distinctions dropped that many speakers do not make."""
    for initial, plain in _NEAR_SOUNDS[:3]:
        if reading.startswith(initial):
            reading = plain + reading[len(initial) :]
    for final, plain in sorted(_NEAR_SOUNDS[3:], key=lambda pair: -len(pair[0])):
        if reading.endswith(final):
            return reading[: -len(final)] + plain
    return reading


def _shapes(characters: Sequence[str]) -> dict[str, list[str]]:
    """Look-alikes among ``characters`` by the table that the service weighs suggestions with."""
    known = set(characters)
    table = {character: sorted(shape_alikes(character) & known) for character in characters}
    return {character: alike for character, alike in table.items() if alike}


def read_shape_sets(path: Path) -> dict[str, list[str]]:
    """One set of look-alike characters per line, spaces and tabs ignored.

    Raises:
        UserError: no such file, or a line with fewer than two characters.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text ({error}); check shape_sets") from None
    table: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(lines, 1):
        members = list(dict.fromkeys("".join(line.split())))
        if not members:
            continue
        if len(members) < 2:
            raise UserError(f"{path}, line {number}: a set needs two characters or more")
        for member in members:
            table[member].extend(other for other in members if other != member)
    return dict(table)


def _english_table() -> dict[str, list[str]]:
    table: dict[str, list[str]] = defaultdict(list)
    for group in _ENGLISH_SETS.replace("\n", "|").split("|"):
        members = group.split()
        for member in members:
            table[member].extend(other for other in members if other != member)
    return dict(table)
