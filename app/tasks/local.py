"""A model in this process without a server: what evaluation and tests run, on the files that are served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.bundle import Bundle, GraphName, Precision
from app.bundle_files import read_bundle
from app.runtime import open_session
from app.runtime.batch import Outputs, Session
from app.runtime.opening import Backend
from app.scheduler.engine import RequestContext
from app.tasks.model import ServedModel, served_model
from app.text.sequence import TokenSequence

PADDED_TOKENS = 2048
"""Cells of one batch: on CPUs larger rectangles gain nothing and cost memory."""


class DirectEngine:
    """An :class:`app.scheduler.engine.Engine` that runs in the calling thread: no queue, no deadline.

    Sequences are sorted by length and batched under a budget of padded tokens. Graphs are opened when first
    asked for.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        precision: Precision | None = None,
        threads: int | None = None,
        backend: Backend = "onnxruntime",
    ) -> None:
        self._bundle = bundle
        self._precision = precision
        self._threads = threads
        self._backend = backend
        self._sessions: dict[GraphName, Session] = {}

    async def infer(
        self, sequences: Sequence[TokenSequence], context: RequestContext, *, graph: GraphName = "model"
    ) -> list[Outputs]:
        """Results of ``sequences`` in their order."""
        session = self._session(graph)
        results: list[Outputs | None] = [None] * len(sequences)
        for batch in batches_by_length([len(sequence) for sequence in sequences], PADDED_TOKENS):
            outputs = session.run([sequences[index] for index in batch])
            for index, output in zip(batch, outputs, strict=True):
                # Copies: a view would keep the whole padded batch alive.
                results[index] = {name: array.copy() for name, array in output.items()}
        return [result for result in results if result is not None]

    def close(self) -> None:
        """Free the graphs. A later ``infer`` opens them again."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _session(self, graph: GraphName) -> Session:
        if graph not in self._sessions:
            entry = self._bundle.manifest.graphs.get(graph)
            offered = entry is not None and self._precision in entry.files
            # A generator may come in one precision only; the choice is about the model.
            precision = self._precision if offered or graph == "model" else None
            self._sessions[graph] = open_session(
                self._bundle, graph, precision=precision, threads=self._threads, backend=self._backend
            )
        return self._sessions[graph]


def batches_by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group indices of ``lengths`` so that each group, padded to its longest, stays within ``budget`` cells.

    A sequence that is longer than the budget gets a group of its own.
    """
    groups: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if groups and longest * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
            longest = lengths[index]
    return groups


def local_model(
    bundle_dir: Path, *, precision: Precision | None = None, threads: int | None = None
) -> ServedModel:
    """Verify the bundle in ``bundle_dir`` and serve it from this thread.

    Raises:
        BundleError: the bundle cannot be served; the message names the file and the cure.
    """
    bundle = read_bundle(Path(bundle_dir))
    bundle.graph_file("model", precision)
    return served_model(bundle, DirectEngine(bundle, precision=precision, threads=threads))
