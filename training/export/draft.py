"""A bundle in the making, run as it will be served before it has its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app import bundle as b
from app.tasks.local import DirectEngine
from app.tasks.model import ServedModel, served_model
from app.text.sequence import TokenSequence
from training.export.checkpoint import Checkpoint
from training.export.config import ExportConfig
from training.export.parity import Parity, check_parity


@dataclass
class Draft:
    """Files in ``root`` and the manifest that describes them so far.

    Attributes:
        documents: real text.
        pieces: token ids of stretches of it, int64 ``[tokens]`` each, from 1 token to the longest.
    """

    config: ExportConfig
    root: Path
    manifest: b.Manifest
    documents: list[str]
    pieces: list[np.ndarray]

    def model(self, numbers: b.Measured | None = None) -> ServedModel:
        """The draft as a served model in ``numbers`` (default: the manifest's); bf16 by OpenVINO."""
        bundle, threads = b.Bundle(self.root, self.manifest), self.config.threads
        engine = (
            DirectEngine(bundle, precision="fp32", threads=threads, backend="openvino")
            if numbers == "bf16"
            else DirectEngine(bundle, precision=numbers, threads=threads)
        )
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
