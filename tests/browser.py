"""Debian's chromium driven by playwright, and watched for what our page must never do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

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


@contextmanager
def watched_page(
    browser: Browser,
    home: str,
    *,
    expected: tuple[str, ...] = (),
    permissions: tuple[str, ...] = (),
    **options: Any,
) -> Iterator[Page]:
    """A fresh page. When the block ends, complaints on its console and requests to other hosts fail the test.

    ``expected``: beginnings of console messages that the test provokes. ``options``: of the browser context.
    """
    messages: list[str] = []
    strangers: list[str] = []
    context = browser.new_context(
        **{"locale": "zh-CN", "viewport": {"width": 1280, "height": 900}, **options}
    )
    context.set_default_timeout(PATIENCE_MS)
    if permissions:
        context.grant_permissions(list(permissions), origin=home.rstrip("/"))

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(expected or ("\0",)):
            messages.append(f"{message.type}: {message.text}")

    def on_request(request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(home).netloc:
            strangers.append(request.url)

    context.on("console", on_console)
    context.on("weberror", lambda error: messages.append(f"uncaught: {error.error}"))
    context.on("request", on_request)
    try:
        yield context.new_page()
    finally:
        context.close()
    assert messages == []
    assert strangers == []


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
