"""Clean text made wrong, with the wrong places known: examples for the replaced-token head.

Pretraining shows the head a generator's guesses at about 6 % of the tokens. People err otherwise: characters
that sound alike, look alike or swap places, letters lost, words taken for one another, and far more seldom.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from app.text.sentences import split_long, split_sentences
from training.errors import UserError
from training.finetune.config import CorruptionConfig
from training.finetune.confusion import CHINESE, Confusions, build_confusions
from training.finetune.plain_text import read_texts
from training.tables import REPLACED, Example

# Where an error can be: one Chinese character, or one word of Latin letters.
_SITE = re.compile(f"{CHINESE.pattern}|[A-Za-z]+(?:'[a-z]+)?")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class Edit:
    """``text[start:end]`` becomes ``replacement``."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A text, the edits settled so far, and the sites (spans) that are left to the generator."""

    text: str
    place: str
    edits: tuple[Edit, ...]
    for_generator: tuple[tuple[int, int], ...]


# Given texts and spans to replace, one replacement (or None) per span.
Sampler = Callable[[Sequence[tuple[str, Sequence[tuple[int, int]]]]], list[list[str | None]]]


def plan_errors(
    text: str, place: str, random: Random, config: CorruptionConfig, confusions: Confusions, *, sampler: bool
) -> Plan:
    """Choose sites and errors for one text; a share of texts (``1 - corrupted_share``) gets none."""
    sites = [match.span() for match in _SITE.finditer(text)]
    if not sites or random.random() >= config.corrupted_share:
        return Plan(text, place, (), ())
    wanted = max(1, sum(random.random() < config.error_rate for _ in sites))
    edits: list[Edit] = []
    left: list[tuple[int, int]] = []
    taken: set[int] = set()
    random.shuffle(sites)
    for start, end in sites:  # some fit no kind of error, so more than ``wanted`` may have to be tried
        if len(edits) + len(left) == wanted:
            break
        edit = _one_error(text, start, end, random, config, confusions, sampler=sampler)
        reach = edit.end if isinstance(edit, Edit) else end
        if edit is None or not taken.isdisjoint(range(start, reach)):
            continue
        taken.update(range(start, reach))
        if isinstance(edit, Edit):
            edits.append(edit)
        else:
            left.append((start, end))
    return Plan(text, place, tuple(edits), tuple(left))


def _one_error(
    text: str,
    start: int,
    end: int,
    random: Random,
    config: CorruptionConfig,
    confusions: Confusions,
    *,
    sampler: bool,
) -> Edit | str | None:
    """An edit at a site, GENERATOR, or None where no kind of error fits it."""
    weights = {
        "sound_alike": config.sound_alike,
        "shape_alike": config.shape_alike,
        "random": config.random,
        "swapped": config.swapped,
        GENERATOR: config.generator if sampler else 0.0,
    }
    while any(weights.values()):
        kind = random.choices(list(weights), list(weights.values()))[0]
        if kind == GENERATOR:
            return GENERATOR
        apply = _chinese_error if CHINESE.match(text, start) else _latin_error
        edit = apply(kind, text, start, end, random, confusions)
        if edit is not None:
            return edit
        weights[kind] = 0.0
    return None


def _chinese_error(
    kind: str, text: str, start: int, end: int, random: Random, confusions: Confusions
) -> Edit | None:
    character = text[start]
    if kind == "swapped":
        follower = text[end : end + 1]
        if not CHINESE.match(follower) or follower == character:
            return None
        return Edit(start, end + 1, follower + character)
    choose = {
        "sound_alike": confusions.sound_alike,
        "shape_alike": confusions.shape_alike,
        "random": confusions.random_character,
    }[kind]
    found = choose(character, random)
    return None if found is None else Edit(start, end, found)


def _latin_error(
    kind: str, text: str, start: int, end: int, random: Random, confusions: Confusions
) -> Edit | None:
    word = text[start:end]
    if kind == "sound_alike":
        found = confusions.wrong_word(word, random)
        return None if found is None or found.lower() == word.lower() else Edit(start, end, found)
    if kind == "shape_alike" or len(word) < 3:
        return None
    wrong = _swapped_letters(word, random) if kind == "swapped" else _mistyped(word, random)
    return None if wrong.lower() == word.lower() else Edit(start, end, wrong)


def _swapped_letters(word: str, random: Random) -> str:
    at = random.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _mistyped(word: str, random: Random) -> str:
    """One letter lost, doubled or another; never the first, which people seldom get wrong."""
    at = random.randrange(1, len(word))
    kind = random.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    return word[:at] + random.choice(_LETTERS) + word[at + 1 :]


def apply_edits(text: str, edits: Sequence[Edit]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The edited text and the spans of the replacements in it. Edits must not overlap."""
    parts: list[str] = []
    spans = []
    at = length = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += [text[at : edit.start], edit.replacement]
        length += edit.start - at
        spans.append((length, length + len(edit.replacement)))
        length += len(edit.replacement)
        at = edit.end
    parts.append(text[at:])
    return "".join(parts), tuple(spans)


def corrupt(
    texts: Sequence[tuple[str, str]],
    config: CorruptionConfig,
    confusions: Confusions,
    sampler: Sampler | None = None,
    seed: int = 0,
) -> list[Example]:
    """Examples of task error_detection from ``texts`` (place, text); the same seed gives the same errors.

    ``units`` of an example are the wrong places only: what is no unit is right.
    """
    random = Random(seed)
    plans = [
        plan_errors(text, place, random, config, confusions, sampler=sampler is not None)
        for _ in range(config.copies)
        for place, text in texts
    ]
    waiting = [at for at, plan in enumerate(plans) if plan.for_generator]
    sampled: dict[int, list[str | None]] = {}
    if sampler is not None and waiting:
        answers = sampler([(plans[at].text, plans[at].for_generator) for at in waiting])
        sampled = dict(zip(waiting, answers, strict=True))
    examples = []
    for at, plan in enumerate(plans):
        extra = [
            Edit(start, end, found)
            for (start, end), found in zip(plan.for_generator, sampled.get(at, []), strict=False)
            if found is not None
        ]
        text, spans = apply_edits(plan.text, [*plan.edits, *extra])
        examples.append(Example(text, plan.place, (REPLACED,) * len(spans), None, spans, plan.text))
    return examples


def pieces_of(text: str, longest: int) -> Iterator[str]:
    """The text in pieces of whole sentences, at most ``longest`` code points; longer sentences are cut."""
    start = end = 0
    for sentence in split_sentences(text):
        for part in split_long(text, sentence, longest):
            if part.end - start > longest and end > start:
                yield text[start:end].strip()
                start = end
            end = part.end
    if end > start:
        yield text[start:end].strip()


def _spread(items: list[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """At most ``count`` items, evenly over the list: the beginning of a file alone is not like the rest."""
    count = min(count, len(items))
    return [items[at * len(items) // count] for at in range(count)]


def _shares(sizes: Sequence[int], limit: int) -> list[int]:
    """How many to take of each: as many of one as of another, and what a small one lacks of the larger."""
    shares = [0] * len(sizes)
    for done, at in enumerate(sorted(range(len(sizes)), key=lambda at: sizes[at])):
        shares[at] = min(sizes[at], (limit - sum(shares)) // (len(sizes) - done))
    return shares


def corrupted_examples(config: CorruptionConfig) -> tuple[list[Example], list[dict[str, object]]]:
    """Read clean text and corrupt it as ``config`` says; also what was read, for the report.

    Raises:
        UserError: no text, no generator where one is named.
    """
    read: list[list[tuple[str, str]]] = []
    digests: list[str] = []
    for name in config.text:
        found, digest = read_texts(Path(name))
        pieces = [(place, piece) for place, text in found for piece in pieces_of(text, config.max_characters)]
        pieces = [item for item in pieces if len(item[1]) >= 4]
        read.append(_spread(pieces, config.max_texts) if config.max_texts else pieces)
        digests.append(digest)
    sizes = [len(pieces) for pieces in read]
    shares = _shares(sizes, config.max_texts) if config.max_texts else sizes
    texts = [item for pieces, share in zip(read, shares, strict=True) for item in _spread(pieces, share)]
    files: list[dict[str, object]] = [
        {"path": name, "rows": share, "sha256": digest}
        for name, share, digest in zip(config.text, shares, digests, strict=True)
    ]
    if not texts:
        raise UserError(f"{config.text[0]}: no text of four characters or more; give clean running text")
    confusions = build_confusions(
        (text for _, text in texts), Path(config.shape_sets) if config.shape_sets else None
    )
    sampler = None
    if config.generator_model is not None:
        from training.finetune.generator_errors import generator_sampler

        sampler = generator_sampler(Path(config.generator_model))
    return corrupt(texts, config, confusions, sampler), files
