"""Which Chinese characters look alike, to people who write by shape and to readers of scans."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from types import MappingProxyType


@cache
def shape_sets() -> tuple[str, ...]:
    """Sets of characters that look alike, as 侯 候 喉 猴. A character may stand in several."""
    text = files("app.text").joinpath("shapes.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def shape_alikes(character: str) -> frozenset[str]:
    """Other characters that look like ``character``; empty for what is not in the table."""
    return _by_character().get(character, frozenset())


@cache
def _by_character() -> MappingProxyType[str, frozenset[str]]:
    alike: dict[str, set[str]] = {}
    for line in shape_sets():
        for character in line:
            alike.setdefault(character, set()).update(line)
    return MappingProxyType({character: frozenset(found - {character}) for character, found in alike.items()})
