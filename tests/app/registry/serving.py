"""A registry over a folder of toy bundles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app.registry import LoadOptions, Registry
from app.scheduler.scheduler import Scheduler


@asynccontextmanager
async def serving(models: Path, **options: Any) -> AsyncIterator[Registry]:
    scheduler = Scheduler()
    registry = Registry(models, scheduler, options=LoadOptions(threads=1), **options)
    await registry.start()
    yield registry
    await registry.close()
    await scheduler.close()


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))
