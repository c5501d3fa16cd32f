"""What every backend checks before it computes: rows that a graph cannot take must not reach native code.

onnxruntime answers an id outside the vocabulary with an exception, other backends read whatever lies there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.bundle import Bundle, GraphName
from app.runtime.batch import Layout, collate, layout_of
from app.text.sequence import IntArray, TokenSequence


@dataclass(frozen=True, slots=True)
class GraphShape:
    """What a graph takes and gives, as the bundle declares it.

    Attributes:
        layout: of the outputs.
        inputs: names that the graph takes.
        outputs: names that the graph gives, in the order of the manifest.
        pad_id: fills short rows.
        vocab_size: ids run from 0 to this, exclusive.
        max_tokens: of one row.
    """

    layout: Layout
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    pad_id: int
    vocab_size: int
    max_tokens: int

    @classmethod
    def of(cls, bundle: Bundle, graph: GraphName) -> GraphShape:
        """The shape of ``graph`` as ``bundle`` declares it."""
        manifest = bundle.manifest
        declared = manifest.graphs[graph]
        return cls(
            layout=layout_of(manifest.task, graph),
            inputs=tuple(declared.inputs),
            outputs=tuple(declared.outputs),
            pad_id=manifest.special_tokens.pad,
            vocab_size=manifest.vocab_size,
            max_tokens=manifest.max_tokens,
        )

    def feeds(self, sequences: Sequence[TokenSequence]) -> dict[str, IntArray]:
        """Check ``sequences`` and pad them into the graph's inputs.

        Raises:
            ValueError: a row is empty, too long, holds an id outside the vocabulary, or positions are
                missing, unasked for or outside their row.
        """
        for sequence in sequences:
            self._check_row(sequence)
        feeds = collate(sequences, self.pad_id)
        ids = feeds["input_ids"]
        if ids.min() < 0 or ids.max() >= self.vocab_size:
            worst = ids.min() if ids.min() < 0 else ids.max()
            raise ValueError(f"token id {worst} is outside the vocabulary of {self.vocab_size}")
        return {name: feeds[name] for name in self.inputs}

    def _check_row(self, sequence: TokenSequence) -> None:
        length = len(sequence)
        if not 0 < length <= self.max_tokens:
            raise ValueError(f"a row of {length} tokens; the graph takes 1 to {self.max_tokens}")
        if sequence.token_type_ids is not None and len(sequence.token_type_ids) != length:
            raise ValueError(f"{len(sequence.token_type_ids)} token types for a row of {length} tokens")
        positions = sequence.positions
        if (positions is not None) != (self.layout == "positions"):
            raise ValueError(
                "the generator needs positions" if positions is None else "only the generator takes positions"
            )
        if (
            positions is not None
            and positions.size
            and not (0 <= positions.min() <= positions.max() < length)
        ):
            raise ValueError(f"positions {positions.min()} to {positions.max()} in a row of {length} tokens")
