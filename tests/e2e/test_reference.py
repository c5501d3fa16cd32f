"""The API reference in a real browser: it works under the strict policy, from this service alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import chromium, watched_page
from tests.server import Server

pytestmark = pytest.mark.browser


def test_the_reference_shows_every_task_and_can_try_one(server: Server) -> None:
    with chromium() as browser, watched_page(browser, server.url + "/docs") as page:
        page.goto(server.url + "/docs")
        for path in ("/classify", "/detect-replaced", "/summarize", "/predict", "/tokenize"):
            expect(page.locator(f'[data-path="{path}"]').first).to_be_visible()
        operation = page.locator("#operations-tasks-classify")
        operation.locator(".opblock-summary").first.click()
        operation.get_by_role("button", name="Execute").click()
        answered = operation.locator(".live-responses-table tbody .response-col_status").first
        expect(answered).to_contain_text("200")
