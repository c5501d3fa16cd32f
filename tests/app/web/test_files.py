"""What holds for every file of the page, read from disk: no browser needed."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[3] / "app" / "web"
MODULES = sorted((WEB / "js").glob("*.js"))
STYLES = sorted((WEB / "css").glob("*.css"))
PAGE = (WEB / "index.html").read_text(encoding="utf-8")
MESSAGE = re.compile(r'^ {2}"([^"]+)": "((?:[^"\\]|\\.)*)",$', re.MULTILINE)
# The page's own files only; the name space of SVG is a name and not an address.
ADDRESS = re.compile(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)


def messages(language: str) -> dict[str, str]:
    return dict(MESSAGE.findall((WEB / "js" / f"messages-{language}.js").read_text(encoding="utf-8")))


class Elements(HTMLParser):
    """Every start tag with its attributes and the text that directly follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.found and not self.found[-1][2]:
            tag, attributes, _ = self.found[-1]
            self.found[-1] = (tag, attributes, data.strip())


@pytest.fixture(scope="module")
def elements() -> list[tuple[str, dict[str, str | None], str]]:
    parser = Elements()
    parser.feed(PAGE)
    return parser.found


def test_nothing_is_inline(elements) -> None:
    for tag, attributes, text in elements:
        assert tag != "style"
        assert "style" not in attributes, attributes
        assert not [name for name in attributes if name.startswith("on")], attributes
        if tag == "script":
            assert text == ""
            assert attributes["src"]


@pytest.mark.parametrize("file", [*MODULES, *STYLES, WEB / "index.html"], ids=lambda file: file.name)
def test_no_other_host_is_named(file: Path) -> None:
    assert ADDRESS.findall(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_text_never_becomes_markup(file: Path) -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|setHTML"
    )
    assert re.findall(forbidden, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_modules_stay_small(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) < 300


def test_both_languages_say_the_same_things() -> None:
    chinese, english = messages("zh"), messages("en")
    assert len(chinese) > 100
    assert list(chinese) == list(english)
    for key, message in chinese.items():
        assert set(re.findall(r"\{\w+\}", message)) == set(re.findall(r"\{\w+\}", english[key])), key


def test_the_page_is_chinese_before_any_script_runs(elements) -> None:
    chinese = messages("zh")
    for tag, attributes, text in elements:
        for name, key in attributes.items():
            if name == "data-i18n":
                assert text == chinese[key], (tag, attributes)
            elif name.startswith("data-i18n-"):
                target = name.removeprefix("data-i18n-")
                if target in attributes:
                    assert attributes[target] == chinese[key], (tag, attributes)
                assert key in chinese


def test_every_message_is_used() -> None:
    code = PAGE + "".join(
        file.read_text(encoding="utf-8") for file in MODULES if not file.name.startswith("messages-")
    )
    # Keys that end in a value, such as `theme.${theme}`, are used through their beginning.
    prefixes = set(re.findall(r"`([a-z.]+\.)\$\{", code))
    unused = [
        key
        for key in messages("zh")
        if f'"{key}"' not in code and not any(key.startswith(prefix) for prefix in prefixes)
    ]
    assert [key for key in unused if not key.endswith(".empty")] == []
