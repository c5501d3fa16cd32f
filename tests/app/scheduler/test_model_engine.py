"""One model's graphs on the shared scheduler."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from app.scheduler.engine import RequestContext
from app.scheduler.errors import BadItem
from app.scheduler.model_engine import ModelEngine
from app.text.sequence import TokenSequence


class Recorder:
    """Stands for the scheduler; answers with the lane that it was asked for."""

    async def infer(self, lane: Any, sequences: Any, context: Any) -> Any:
        return [lane] * len(sequences)


def test_each_graph_goes_to_its_lane_and_a_missing_one_is_named() -> None:
    engine = ModelEngine(Recorder(), {"model": "lane"})  # type: ignore[arg-type, dict-item]
    rows = [TokenSequence(np.arange(3))] * 2
    assert asyncio.run(engine.infer(rows, RequestContext())) == ["lane", "lane"]
    with pytest.raises(BadItem, match="no generator graph; export"):
        asyncio.run(engine.infer(rows, RequestContext(), graph="generator"))
