"""The page's own modules in a real browser, without any server: it gets the files straight from disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser import Call, watched_page

WEB = Path(__file__).resolve().parents[3] / "app" / "web"
ORIGIN = "http://page.test"


def _from_disk(route: Route) -> None:
    path = urlsplit(route.request.url).path
    if path == "/":
        route.fulfill(body="<!doctype html><title>modules</title>", content_type="text/html")
    else:
        route.fulfill(path=WEB / path.removeprefix("/"))


@pytest.fixture(scope="module")
def module_page(browser: Browser) -> Iterator[Page]:
    """An empty page of an origin whose files are those of ``app/web``."""
    with watched_page(browser, ORIGIN) as page:
        page.context.route(f"{ORIGIN}/**", _from_disk)
        page.goto(ORIGIN)
        yield page


@pytest.fixture(scope="module")
def call(module_page: Page) -> Call:
    """``call("codepoints", "countCodePoints", text)`` calls a module's function, by JSON both ways."""

    def run(module: str, function: str, *arguments: Any) -> Any:
        return module_page.evaluate(
            "async ([module, name, values]) => (await import(`/js/${module}.js`))[name](...values)",
            [module, function, list(arguments)],
        )

    return run
