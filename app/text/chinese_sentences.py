"""Where Chinese (and Japanese) sentences end: own rules over full-width marks, closers and brackets.

The ends are found inside one paragraph, see ``app.text.paragraphs``. Half-width marks count only after a
wide character; in Latin runs they belong to ``app.text.latin_sentences``.
"""

from __future__ import annotations

import regex

from app.text.paragraphs import IS_WIDE

WIDE_MARKS = "。！？｡﹗﹖‼⁇⁈⁉"
_DOTS = ".．…⋯"
_MARKS = frozenset(WIDE_MARKS + "!?" + _DOTS)
_MARK = regex.compile(f"[{WIDE_MARKS}!?{_DOTS}]")
CLOSERS = frozenset("”’」』）)】》〉］]｝}〕〗〛»›﹂﹄〞")
_OPENERS = frozenset("“‘「『（(【《〈［[｛{〔〖〚«‹﹁﹃〝\"'")
_FINISHED = _MARKS | CLOSERS - frozenset("》〉") | {":"}  # what a bracket that is its own sentence may follow
# After these the sentence goes on although a mark was closed: “走！”，他说
_CONTINUERS = frozenset("，、：；,:;—–～~·%％°")
_ELLIPSIS_MINIMUM = 3  # 我……我不知道: fewer characters before an ellipsis are a hesitation, not a sentence
_LETTER = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}]")
_ENUMERATOR = regex.compile(r"\s*[（(]?[一二三四五六七八九十百零〇甲乙丙丁\p{Nd}]+[)）]?")
_QUERY = regex.compile(r"[\w.~%-]+=")
_ASCII_WORD = regex.compile(r"[A-Za-z0-9]")
# So many at most: \X counts back over a whole row of flags at each of them.
_EMOJI = regex.compile(r"(?:(?=\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f|\p{RI})\X){1,16}")

_PAIRS = {"（": "）", "(": ")", "【": "】", "［": "］", "[": "]", "《": "》", "〈": "〉"}
_PAIR = regex.compile("[" + regex.escape("".join(_PAIRS) + "".join(_PAIRS.values())) + "]")
_TITLES = "《〈"
_LONGEST_PAIR = 200  # a bracket that closes later than this was a mistake and protects nothing


def chinese_ends(paragraph: str, protected: list[tuple[int, int]]) -> list[int]:
    """Sorted sentence ends in ``paragraph``: exclusive, after closers, emoji and white space.

    ``protected``: ranges from ``protected_ranges`` inside which no sentence ends.
    """
    ends: list[int] = []
    closing = _closing_quotes(paragraph)
    inside = Inside(protected)
    start = position = 0
    while match := _MARK.search(paragraph, position):
        mark = match.start()
        position, closed = _marks_and_closers(paragraph, mark, closing)
        marks = [character for character in paragraph[mark:position] if character in _MARKS]
        if inside(mark) or not _is_end(paragraph, start, mark, position, marks, closed):
            continue
        position = skip_trailing(paragraph, position)
        ends.append(position)
        start = position
    return ends


def protected_ranges(paragraph: str) -> list[tuple[int, int]]:
    """Sorted, disjoint ``(start, end)`` of titles 《…》 and of brackets that stand inside a sentence."""
    stack: list[tuple[str, int]] = []
    found: list[tuple[int, int]] = []
    for match in _PAIR.finditer(paragraph):
        character, position = match.group(), match.start()
        if character in _PAIRS:
            stack.append((character, position))
            continue
        if not stack or _PAIRS[stack[-1][0]] != character:
            continue
        opener, start = stack.pop()
        short = position - start <= _LONGEST_PAIR
        if short and (opener in _TITLES or _mid_sentence(paragraph, start)):
            while found and found[-1][0] >= start:
                found.pop()
            found.append((start, position))
    return found


def skip_trailing(paragraph: str, position: int) -> int:
    """End of the emoji and white space that follow a sentence end and belong to that sentence."""
    if match := _EMOJI.match(paragraph, position):
        position = match.end()
    while position < len(paragraph) and paragraph[position].isspace():
        position += 1
    return position


def goes_on(following: str, closed: bool) -> bool:
    """Whether a sentence goes on behind a mark, as its ``following`` character (or none) tells; ``closed``:
    a quote or bracket was closed in between.
    """
    return following in _CONTINUERS or (closed and following == "的")  # “加油！”的喊声


class Inside:
    """Asks for rising positions whether they lie inside one of the sorted ranges; linear overall."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self.ranges = ranges
        self.next = 0

    def __call__(self, position: int) -> bool:
        while self.next < len(self.ranges) and self.ranges[self.next][1] < position:
            self.next += 1
        return self.next < len(self.ranges) and self.ranges[self.next][0] < position


def _closing_quotes(paragraph: str) -> frozenset[int]:
    """Positions of straight double quotes that close: every second one."""
    positions = [index for index, character in enumerate(paragraph) if character == '"']
    return frozenset(positions[1::2])


def _marks_and_closers(paragraph: str, position: int, closing: frozenset[int]) -> tuple[int, bool]:
    """End of a run of marks with the closers among and after them, and whether a closer stood last."""
    closed = False
    while position < len(paragraph):
        character = paragraph[position]
        if character in _MARKS:
            closed = False
        elif character in CLOSERS or position in closing or _is_closing_apostrophe(paragraph, position):
            closed = True
        else:
            break
        position += 1
    return position, closed


def _is_closing_apostrophe(paragraph: str, position: int) -> bool:
    return paragraph[position] == "'" and not paragraph[position + 1 : position + 2].isalnum()


def _mid_sentence(paragraph: str, opener: int) -> bool:
    """Whether the text before a bracket is an unfinished sentence: the bracket is a remark within it."""
    before = paragraph[max(0, opener - 8) : opener].rstrip()
    return bool(before) and before[-1] not in _FINISHED


def _is_end(paragraph: str, start: int, mark: int, after: int, marks: list[str], closed: bool) -> bool:
    """Whether the run of ``marks`` at ``[mark, after)`` ends the sentence that began at ``start``."""
    before = mark - 1
    while before >= start and (paragraph[before] in CLOSERS or paragraph[before] in "\"'"):
        before -= 1
    if before < start or not paragraph[start : before + 1].strip():
        return False  # marks that begin a sentence: ！！！重要
    previous, following = paragraph[before], paragraph[after : after + 1]
    if goes_on(following, closed):
        return False
    if paragraph[mark - 1] in _OPENERS and before == mark - 1:
        return False  # 他居然（！）来了
    if any(character in WIDE_MARKS for character in marks):
        return True
    if not IS_WIDE.match(previous):
        return False
    if len(marks) == 1 and marks[0] in ".．":
        return _stop_ends(paragraph, start, mark, after)
    if all(character in _DOTS for character in marks):
        return before + 1 - start >= _ELLIPSIS_MINIMUM and following != previous
    return _QUERY.match(paragraph, after) is None  # wiki/中国?title=


def _stop_ends(paragraph: str, start: int, mark: int, after: int) -> bool:
    """Whether a half-width full stop ends a Chinese sentence: not in 一.概述, 第3.5节, 网站.com."""
    return (
        _LETTER.match(paragraph, mark - 1) is not None
        and _ENUMERATOR.fullmatch(paragraph, start, mark) is None
        and _ASCII_WORD.match(paragraph, after) is None
    )
