"""Rows of tokens in, padded tensors to the graph, per-row arrays back: the seam between text and arithmetic.

Nothing here knows a backend. A batch is a rectangle of ``batch * longest row`` cells, its *padded tokens*:
that is what a run costs, so that is what the scheduler budgets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from app.bundle import GraphName, Task
from app.text.sequence import IntArray, TokenSequence

Outputs = dict[str, npt.NDArray[np.float32]]
"""One row's results, padding cut off. ``encode``: ``logits [tokens]``, ``hidden [tokens, hidden]``;
``classify``: ``logits [labels]``; generator: ``logits [positions, vocabulary]``."""

Shape = tuple[int | str | None, ...]
Layout = Literal["tokens", "sequence", "positions"]
"""The leading axes of a graph's outputs: ``[batch, tokens, ...]``, ``[batch, ...]``, ``[positions, ...]``."""


class Session(Protocol):
    """One opened graph. ``run`` may be called from several threads at once."""

    @property
    def backend(self) -> str:
        """``onnxruntime``, ``openvino`` or ``cuda``."""

    @property
    def precision(self) -> str:
        """What the arithmetic runs in: ``fp32``, ``int8`` or ``bf16``."""

    @property
    def max_tokens(self) -> int:
        """The longest row that the graph takes, special tokens included."""

    @property
    def input_shapes(self) -> Mapping[str, Shape]:
        """What the file itself says that it takes; dynamic dimensions are names or None."""

    @property
    def output_shapes(self) -> Mapping[str, Shape]:
        """What the file itself says that it gives."""

    def run(self, sequences: list[TokenSequence]) -> list[Outputs]:
        """Run one batch; the results stand in the order of ``sequences``.

        Raises:
            ValueError: a row is empty, too long, holds an id outside the vocabulary, or lacks its positions.
        """

    def close(self) -> None:
        """Free the graph's memory. ``run`` must not be called again."""


def layout_of(task: Task, graph: GraphName) -> Layout:
    """How the outputs of ``graph`` in a bundle of ``task`` are laid out (see ``app.bundle``)."""
    if graph == "generator":
        return "positions"
    return "tokens" if task == "encode" else "sequence"


def padded_tokens(sequences: Sequence[TokenSequence]) -> int:
    """Cells of the rectangle that ``sequences`` fill when padded to the longest."""
    return max((len(sequence) for sequence in sequences), default=0) * len(sequences)


def collate(sequences: Sequence[TokenSequence], pad_id: int) -> dict[str, IntArray]:
    """Pad ``sequences`` to the longest.

    Returns:
        ``input_ids``, ``attention_mask``, ``token_type_ids``: int64 ``[batch, tokens]``. When the rows carry
        positions, ``positions``: int64 ``[positions]`` into the flattened ``[batch * tokens]`` grid.

    Raises:
        ValueError: no rows, or only some of them carry positions.
    """
    if not sequences:
        raise ValueError("a batch needs at least one sequence")
    width = max(len(sequence) for sequence in sequences)
    shape = (len(sequences), width)
    input_ids = np.full(shape, pad_id, np.int64)
    attention_mask = np.zeros(shape, np.int64)
    token_type_ids = np.zeros(shape, np.int64)
    positions: list[IntArray] = []
    for row, sequence in enumerate(sequences):
        length = len(sequence)
        input_ids[row, :length] = sequence.input_ids
        attention_mask[row, :length] = 1
        if sequence.token_type_ids is not None:
            token_type_ids[row, :length] = sequence.token_type_ids
        if sequence.positions is not None:
            positions.append(sequence.positions + row * width)
    feeds = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
    if positions:
        if len(positions) != len(sequences):
            raise ValueError("either every sequence of a batch carries positions or none does")
        feeds["positions"] = np.concatenate(positions)
    return feeds


def split(
    outputs: dict[str, npt.NDArray[np.float32]], sequences: Sequence[TokenSequence], layout: Layout
) -> list[Outputs]:
    """Cut a batch's ``outputs`` into one :data:`Outputs` per sequence, without the padding.

    The results are views of the batch, not copies. ``layout`` must be told rather than guessed: classifier
    logits ``[batch, labels]`` look like token logits whenever a batch happens to be ``labels`` wide.
    """
    results: list[Outputs] = []
    start = 0
    for row, sequence in enumerate(sequences):
        if layout == "positions":
            count = 0 if sequence.positions is None else len(sequence.positions)
            results.append({name: array[start : start + count] for name, array in outputs.items()})
            start += count
        elif layout == "tokens":
            results.append({name: array[row, : len(sequence)] for name, array in outputs.items()})
        else:
            results.append({name: array[row] for name, array in outputs.items()})
    return results
