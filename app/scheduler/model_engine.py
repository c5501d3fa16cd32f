"""One model's graphs on the shared scheduler: what its tasks call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.bundle import GraphName
from app.runtime.batch import Outputs
from app.scheduler.engine import RequestContext
from app.scheduler.errors import BadItem
from app.scheduler.lane import Lane
from app.scheduler.scheduler import Scheduler
from app.text.sequence import TokenSequence


class ModelEngine:
    """An :class:`app.scheduler.engine.Engine`: one model's graphs on a shared scheduler."""

    def __init__(self, scheduler: Scheduler, lanes: Mapping[GraphName, Lane]) -> None:
        self._scheduler = scheduler
        self.lanes = dict(lanes)

    def accept(self, context: RequestContext, characters: int = 0, texts: int = 0) -> None:
        """See :meth:`app.scheduler.scheduler.Scheduler.accept`."""
        self._scheduler.accept(self.lanes["model"], context, characters, texts)

    async def infer(
        self, sequences: Sequence[TokenSequence], context: RequestContext, *, graph: GraphName = "model"
    ) -> list[Outputs]:
        """See :meth:`app.scheduler.engine.Engine.infer`."""
        lane = self.lanes.get(graph)
        if lane is None:
            raise BadItem(f"this model has no {graph} graph; export its bundle again with one")
        return await self._scheduler.infer(lane, sequences, context)
