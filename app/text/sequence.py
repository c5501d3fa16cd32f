"""One row of tokens: what text becomes before anything computes with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TokenSequence:
    """One row as the model sees it: special tokens included, not padded.

    Attributes:
        input_ids: int64 ``[tokens]``, at least one.
        token_type_ids: int64 ``[tokens]``; None means all zero (no second segment).
        positions: int64 ``[positions]``, indices into this row whose vocabulary logits are wanted. The
            generator graph needs them, the model graph takes none.
    """

    input_ids: IntArray
    token_type_ids: IntArray | None = None
    positions: IntArray | None = None

    def __len__(self) -> int:
        return len(self.input_ids)
