"""What a request for replaced-token detection may choose, and whether the model can do it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.errors import ValidationFailed
from app.tasks.model import ServedModel
from app.text.offsets import OffsetUnit, Utf16Positions
from app.text.scripts import CHARACTER_CLASSES, CharacterClass

ThresholdName = Literal["balanced", "precise", "sensitive"]
Granularity = Literal["token", "char", "word"]

MAX_SUGGESTIONS = 10
MAX_PROTECTED = 1000
"""Protected parts of one request: each costs a search through the whole text."""
DEFAULT_IGNORE: tuple[CharacterClass, ...] = ("punctuation", "url", "emoji")
"""Users of such tools complain about false flags most, and these are where most of them would fall."""


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """The request's choices.

    Attributes:
        threshold: a probability, or the name of one that the bundle was calibrated for.
        granularity: the unit of ``tokens``. ``token``: word pieces. ``char``: grapheme clusters. ``word``:
            pieces put together; a Chinese character is a word of its own, since the service carries no
            segmenter, and touching flagged characters come together as a span.
        suggestions: most repairs for each span, 0 to 10. More than 0 needs a bundle with a generator.
        sound_alike: weigh Chinese suggestions by how like they sound to what stands there, for text that was
            typed by sound.
        shape_alike: weigh them by how like they look, for text that was written by shape or read from scans.
        ignore: character classes that are never flagged.
        protected: parts that are never flagged: strings, wherever they occur, or ``(start, end)`` in
            ``offset_unit``, which need a single input.
        flag_unknown: flag words outside the vocabulary too.
        offset_unit: what offsets count, in the request and the answer.
        truncate: cut what does not fit instead of reading it in windows.
    """

    threshold: float | ThresholdName = "precise"
    granularity: Granularity = "word"
    suggestions: int = 0
    sound_alike: bool = False
    shape_alike: bool = False
    ignore: Collection[CharacterClass] = DEFAULT_IGNORE
    protected: Sequence[str | tuple[int, int]] = ()
    flag_unknown: bool = False
    offset_unit: OffsetUnit = "codepoint"
    truncate: bool = False


def check_options(model: ServedModel, inputs: Sequence[str], options: DetectOptions) -> float:
    """The threshold as a number, once every option is known to be usable.

    Raises:
        ValidationFailed: the model cannot detect or suggest, or an option is out of range.
    """
    if model.bundle.manifest.task != "encode":
        raise ValidationFailed("model", f"{model.name} has no replaced-token head; name an encode model")
    if not 0 <= options.suggestions <= MAX_SUGGESTIONS:
        raise ValidationFailed("suggestions", f"is {options.suggestions}; ask for 0 to {MAX_SUGGESTIONS}")
    if options.suggestions and not model.has_generator:
        raise ValidationFailed(
            "suggestions",
            f"{model.name} ships no generator to draw them from; ask for 0",
            code="no_generator",
        )
    if len(options.protected) > MAX_PROTECTED:
        raise ValidationFailed(
            "protected",
            f"holds {len(options.protected)} parts; send at most {MAX_PROTECTED}",
            code="too_many",
        )
    unknown = [name for name in options.ignore if name not in CHARACTER_CLASSES]
    if unknown:
        offered = ", ".join(CHARACTER_CLASSES)
        raise ValidationFailed("ignore", f"knows no {unknown[0]!r}; choose from {offered}")
    for index, item in enumerate(options.protected):
        if item == "":
            raise ValidationFailed(f"protected.{index}", "is empty; name the text to protect")
        if not isinstance(item, str) and len(inputs) != 1:
            raise ValidationFailed(
                f"protected.{index}", f"a range fits one input, not {len(inputs)}; protect a string instead"
            )
    if len(inputs) == 1:
        # Strings are not looked for here: in a long text that takes a while, and this is the event loop.
        given = [item if isinstance(item, tuple) else "" for item in options.protected]
        for _ in protected_ranges(inputs[0], replace(options, protected=given)):
            pass
    return _threshold(model, options.threshold)


def protected_ranges(text: str, options: DetectOptions) -> Iterator[tuple[int, int]]:
    """The protected parts of ``text`` in code points, one by one: there may be as many as characters.

    Strings count wherever they occur.

    Raises:
        ValidationFailed: a range is reversed, outside the text, or (in UTF-16) cuts a character.
    """
    utf16 = Utf16Positions(text) if options.offset_unit == "utf16" else None
    searched = {""}
    for index, item in enumerate(options.protected):
        if isinstance(item, str):
            if item not in searched:
                yield from _occurrences(text, item)
            searched.add(item)
            continue
        start, end = item
        length = utf16.length if utf16 else len(text)
        if not 0 <= start < end <= length:
            raise ValidationFailed(
                f"protected.{index}", f"{start} to {end} is no range within 0 to {length} of the text"
            )
        try:
            yield (utf16.to_code_point(start), utf16.to_code_point(end)) if utf16 else (start, end)
        except ValueError as error:
            raise ValidationFailed(f"protected.{index}", str(error)) from None


def _occurrences(text: str, wanted: str) -> Iterator[tuple[int, int]]:
    """Ranges that occurrences of ``wanted`` cover, those that overlap among them; in linear time.

    Occurrences that follow each other at one distance, as in a row of equal characters, make one range.
    """
    start = text.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        again = text.find(wanted, start + 1, end + len(wanted) - 1)
        if again >= 0:
            step = again - start
            tail = wanted[-step:]
            while text.startswith(tail, end):
                end += step
        yield start, end
        start = text.find(wanted, end - len(wanted) + 1)


def _threshold(model: ServedModel, threshold: float | ThresholdName) -> float:
    if not isinstance(threshold, str):
        if not 0 <= threshold <= 1:
            raise ValidationFailed("threshold", f"is {threshold}; a probability lies between 0 and 1")
        return float(threshold)
    calibration = model.bundle.manifest.calibration
    offered = calibration.thresholds if calibration else {}
    if threshold not in offered:
        choice = ", ".join(offered) or "none"
        raise ValidationFailed(
            "threshold", f"{model.name} knows no {threshold!r}; give a number, or one of: {choice}"
        )
    return offered[threshold]
