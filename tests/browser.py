"""Debian's chromium driven by playwright, and watched for what our page must never do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Call = Callable[..., Any]
AXE = Path(__file__).parent / "vendor" / "axe" / "axe.min.js"
REFUSED = "Failed to load resource"
"""How the browser itself reports an answer of 400 or more; expected where a test provokes one."""


PATIENCE_MS = 30_000
"""A busy machine is no failure."""
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; skips the test where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs Debian's chromium at {CHROMIUM} (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watch:
    """What a page did that ours must never do.

    Attributes:
        home: the page's own address; every request belongs there.
        expected: beginnings of console messages that a test provokes.
    """

    home: str
    expected: tuple[str, ...] = ()
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(self.expected or ("\0",)):
            self.complaints.append(f"{message.type}: {message.text}")

    def on_request(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.home).netloc:
            self.strangers.append(request.url)

    def check(self) -> None:
        """Fail if the console complained, an error went uncaught or another host was asked."""
        complaints, self.complaints = self.complaints, []
        strangers, self.strangers = self.strangers, []
        assert complaints == []
        assert strangers == []


@contextmanager
def watched_context(browser: Browser, watch: Watch, **options: Any) -> Iterator[BrowserContext]:
    """A fresh context under ``watch``. ``options``: of the context."""
    context = browser.new_context(
        **{"locale": "zh-CN", "viewport": {"width": 1280, "height": 900}, **options}
    )
    context.set_default_timeout(PATIENCE_MS)
    context.on("console", watch.on_console)
    context.on("request", watch.on_request)
    context.on("weberror", lambda error: watch.complaints.append(f"uncaught: {error.error}"))
    try:
        yield context
    finally:
        context.close()


@contextmanager
def watched_page(
    browser: Browser, home: str, *, expected: tuple[str, ...] = (), **options: Any
) -> Iterator[Page]:
    """A page in a fresh context. When the block ends, whatever :class:`Watch` saw fails the test."""
    watch = Watch(home, expected)
    with watched_context(browser, watch, **options) as context:
        yield context.new_page()
    watch.check()


def serious_problems(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe-core finds on the page as it stands, of impact serious or critical: one line per element.

    ``rules``: look for these only.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = page.evaluate("async (options) => (await axe.run(document, options)).violations", options)
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
