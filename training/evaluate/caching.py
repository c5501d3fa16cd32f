"""An engine that remembers: the same rows are asked for by every method that is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.bundle import GraphName
from app.runtime.batch import Outputs
from app.scheduler.engine import Engine, RequestContext
from app.tasks.model import ServedModel
from app.text.sequence import TokenSequence


class CachingEngine:
    """Passes rows on to another engine once and gives the same arrays again. ``clear`` frees the memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[str, bytes], Outputs] = {}

    async def infer(
        self, sequences: Sequence[TokenSequence], context: RequestContext, *, graph: GraphName = "model"
    ) -> list[Outputs]:
        """Results of ``sequences`` in their order. Rows with positions or two segments are passed through."""
        if any(row.positions is not None or row.token_type_ids is not None for row in sequences):
            return await self._engine.infer(sequences, context, graph=graph)
        keys = [(graph, row.input_ids.tobytes()) for row in sequences]
        new = {key: row for key, row in zip(keys, sequences, strict=True) if key not in self._known}
        if new:
            outputs = await self._engine.infer(list(new.values()), context, graph=graph)
            self._known.update(zip(new, outputs, strict=True))
        return [self._known[key] for key in keys]

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()


def with_cache(model: ServedModel) -> tuple[ServedModel, CachingEngine]:
    """``model`` with a caching engine, and that engine."""
    engine = CachingEngine(model.engine)
    return replace(model, engine=engine), engine
