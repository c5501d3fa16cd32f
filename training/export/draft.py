"""A bundle in the making, run as it will be served before it has its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app import bundle as b
from app.runtime.batch import Outputs
from app.scheduler.engine import RequestContext
from app.tasks.local import DirectEngine
from app.tasks.model import ServedModel, served_model
from app.text.sequence import TokenSequence
from training.export.checkpoint import Checkpoint
from training.export.config import ExportConfig
from training.export.parity import Parity, check_parity


class CountingEngine(DirectEngine):
    """Tells ``on_texts`` of every call: whatever an export measures goes through an engine."""

    on_texts: Callable[[int], None]

    async def infer(
        self, sequences: Sequence[TokenSequence], context: RequestContext, *, graph: b.GraphName = "model"
    ) -> list[Outputs]:
        """See ``DirectEngine``."""
        results = await super().infer(sequences, context, graph=graph)
        self.on_texts(len(sequences))
        return results


@dataclass
class Draft:
    """Files in ``root`` and the manifest that describes them so far.

    Attributes:
        documents: real text.
        pieces: token ids of stretches of it, int64 ``[tokens]`` each, from 1 token to the longest.
        on_texts: told how many texts a graph has just computed, for a progress bar.
    """

    config: ExportConfig
    root: Path
    manifest: b.Manifest
    documents: list[str]
    pieces: list[np.ndarray]
    on_texts: Callable[[int], None] = lambda _: None

    def model(self, numbers: b.Measured | None = None) -> ServedModel:
        """The draft as a served model in ``numbers`` (default: the manifest's); bf16 by OpenVINO."""
        bundle, threads = b.Bundle(self.root, self.manifest), self.config.threads
        engine = (
            CountingEngine(bundle, precision="fp32", threads=threads, backend="openvino")
            if numbers == "bf16"
            else CountingEngine(bundle, precision=numbers, threads=threads)
        )
        engine.on_texts = self.on_texts
        return served_model(bundle, engine)

    def set_graph(self, name: b.GraphName, graph: b.Graph) -> None:
        self.manifest = self.manifest.model_copy(update={"graphs": self.manifest.graphs | {name: graph}})


def check_graphs(draft: Draft, checkpoint: Checkpoint, generator: Checkpoint | None) -> list[Parity]:
    """Parity of each graph with its checkpoint.

    Raises:
        UserError: a graph differs.
    """
    model = draft.model("fp32")
    sequences = [model.encoder.sequence(ids) for ids in draft.pieces]
    results = [check_parity(model, checkpoint, sequences, draft.config.parity_tolerance)]
    if generator is not None:
        masked = [_masked(model, ids) for ids in draft.pieces]
        results.append(check_parity(model, generator, masked, draft.config.parity_tolerance))
    return results


def _masked(model: ServedModel, ids: np.ndarray) -> TokenSequence:
    positions = np.arange(0, len(ids), 7, dtype=np.int64)
    masked = ids.copy()
    masked[positions] = model.encoder.special_tokens.mask
    return model.encoder.sequence(masked, positions=positions)
