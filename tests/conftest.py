"""Settings that hold for every test, and the browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A busy machine is no failure: tests say what must hold, not how fast it must hold there.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium; skips where there is none.

    Not for the whole session: while playwright runs, asyncio believes that its loop is running in this
    thread, and tests elsewhere could not start loops of their own.
    """
    from tests.browser import chromium  # only tests that use it pay for it

    with chromium() as running:
        yield running
