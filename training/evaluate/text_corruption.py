"""Errors of kinds that no generator makes, put into clean text at known places."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

from training.tables import ORIGINAL, REPLACED, Example

_SET_SIZE = 8
_FREQUENT = 3000


def confusion_sets(texts: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Random sets of Chinese characters of like frequency: each character with those it is confused with.

    They stand for no sound or shape, so that no detector can have been trained on them.
    """
    counts = Counter(character for text in texts for character in text if _is_hanzi(character))
    ranked = [character for character, _ in counts.most_common(_FREQUENT)]
    chance = random.Random(seed)
    sets: dict[str, list[str]] = {}
    # Neighbours in frequency, shuffled among themselves: a rare character would give itself away.
    for start in range(0, len(ranked), 16 * _SET_SIZE):
        band = ranked[start : start + 16 * _SET_SIZE]
        chance.shuffle(band)
        for first in range(0, len(band), _SET_SIZE):
            group = band[first : first + _SET_SIZE]
            for character in group:
                sets[character] = [other for other in group if other != character]
    return sets


def confuse(texts: Sequence[str], seed: int, rate: float = 0.05) -> list[Example]:
    """Replace about ``rate`` of the Chinese characters (at least one) by others of their random set.

    Texts in which nothing can be replaced are left out.
    """
    sets = confusion_sets(texts, seed)
    chance = random.Random(seed)
    examples = []
    for text in texts:
        places = [at for at, character in enumerate(text) if sets.get(character)]
        chosen = chance.sample(places, min(len(places), max(1, round(rate * len(places))))) if places else []
        characters = list(text)
        for at in chosen:
            characters[at] = chance.choice(sets[characters[at]])
        examples += _example("".join(characters), set(chosen))
    return examples


def shuffle_characters(texts: Sequence[str], seed: int, rate: float = 0.05) -> list[Example]:
    """Swap neighbours: Chinese characters, or the inner letters of a word; about ``rate`` of them move.

    Texts in which nothing can be swapped are left out.
    """
    chance = random.Random(seed)
    examples = []
    for text in texts:
        places = [at for at in range(len(text) - 1) if _can_swap(text, at)]
        wanted = max(1, round(rate * len(places) / 2))
        characters, moved = list(text), set[int]()
        for at in chance.sample(places, len(places)):
            if len(moved) >= 2 * wanted:
                break
            if at in moved or at + 1 in moved:
                continue
            characters[at], characters[at + 1] = characters[at + 1], characters[at]
            moved |= {at, at + 1}
        examples += _example("".join(characters), moved)
    return examples


SOURCES: dict[str, Callable[[Sequence[str], int], list[Example]]] = {
    "random confusion sets": confuse,
    "shuffled characters": shuffle_characters,
}
"""Kinds of corruption by name; each takes texts and a seed."""


def _example(text: str, wrong: set[int]) -> list[Example]:
    if not wrong:
        return []
    labels = tuple(REPLACED if at in wrong else ORIGINAL for at in range(len(text)))
    return [Example(text, "corrupted", labels, units=tuple((at, at + 1) for at in range(len(text))))]


def _can_swap(text: str, at: int) -> bool:
    first, second = text[at], text[at + 1]
    if first == second:
        return False
    if _is_hanzi(first) and _is_hanzi(second):
        return True
    inner = at > 0 and text[at - 1].isascii() and text[at - 1].isalpha()
    return inner and all(c.isascii() and c.islower() for c in (first, second))


def _is_hanzi(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"
