"""Text to token ids, with the place of every token in the text as it was sent.

Three promises. What a user types is never read as a special token: ``[MASK]`` is ordinary pieces of text.
Offsets are code points of the text as sent, whatever the tokenizer's normaliser did to it on the way (lower
case, accents stripped, full-width folded), and never cut a grapheme cluster. Nothing is truncated or padded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from app.bundle import SpecialTokens
from app.text.offsets import IntArray, extend_to_graphemes, lone_surrogate
from app.text.sequence import TokenSequence

BoolArray = npt.NDArray[np.bool_]

LONG_TEXT = 2_000
"""Code points from which :meth:`TextEncoder.encode` leaves Python's global lock free while it works."""


class MalformedText(ValueError):  # noqa: N818 - named by what is wrong with the text
    """The text holds a lone surrogate at ``position`` and so is no sequence of characters."""

    def __init__(self, position: int) -> None:
        self.position = position
        super().__init__(
            f"holds half of a surrogate pair at position {position}; send the character whole, or remove it"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The tokens of one text, without special tokens.

    Attributes:
        ids: int64 ``[n]``.
        offsets: int64 ``[n, 2]``, half-open code point ranges in the text as sent. Several tokens may share a
            range (one character that folds into several), ranges may leave gaps (white space).
        unknown: bool ``[n]``, the token is ``[UNK]``: the model cannot tell it from any other unknown.
        continuation: bool ``[n]``, the token continues a word (a ``##`` piece).
    """

    ids: IntArray
    offsets: IntArray
    unknown: BoolArray
    continuation: BoolArray

    def __len__(self) -> int:
        return len(self.ids)

    def upto(self, count: int) -> Encoded:
        """The first ``count`` tokens."""
        return Encoded(
            self.ids[:count], self.offsets[:count], self.unknown[:count], self.continuation[:count]
        )


class TextEncoder:
    """One bundle's tokenizer. Immutable after construction, so threads may share it."""

    def __init__(self, tokenizer_file: Path, special_tokens: SpecialTokens, max_tokens: int) -> None:
        """Load ``tokenizer_file``; ``max_tokens`` counts the ``[CLS]`` and ``[SEP]`` of a row too.

        Raises:
            ValueError: the file is no tokenizer, its special tokens stand elsewhere than ``special_tokens``
                says, or it would read one of them out of a user's text.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(
                f"{tokenizer_file}: is no tokenizer ({error}); export the bundle again"
            ) from None
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.special_tokens = special_tokens
        self.max_tokens = max_tokens
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        self.pieces: list[str] = [""] * (max(vocabulary.values(), default=-1) + 1)
        for piece, index in vocabulary.items():
            self.pieces[index] = piece
        self._check_special_tokens(tokenizer_file)
        self._is_continuation = np.array([piece.startswith("##") for piece in self.pieces], bool)
        controls = [special_tokens.pad, special_tokens.cls, special_tokens.sep, special_tokens.mask]
        self._is_control = np.zeros(len(self.pieces), bool)
        self._is_control[controls] = True

    def _check_special_tokens(self, tokenizer_file: Path) -> None:
        names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
        added = self._tokenizer.get_added_tokens_decoder()
        for field, name in names.items():
            index = getattr(self.special_tokens, field)
            if not 0 <= index < len(self.pieces) or self.pieces[index] != name:
                raise ValueError(
                    f"{tokenizer_file}: id {index} is not {name} as bundle.json says; export the bundle again"
                )
            if index in added and not added[index].special:
                raise ValueError(
                    f"{tokenizer_file}: {name} is an ordinary added token, so a user's text could inject it; "
                    "add it as a special token and export again"
                )

    @property
    def vocab_size(self) -> int:
        """Ids run from 0 to this, exclusive."""
        return len(self.pieces)

    @property
    def room(self) -> int:
        """Tokens of text that fit into one row beside ``[CLS]`` and ``[SEP]``."""
        return self.max_tokens - 2

    @property
    def is_continuation(self) -> BoolArray:
        """bool ``[vocabulary]``: which pieces continue a word."""
        return self._is_continuation

    def encode(self, text: str) -> Encoded:
        """Tokenize ``text``.

        Raises:
            MalformedText: ``text`` holds a lone surrogate.
        """
        position = lone_surrogate(text)
        if position is not None:
            raise MalformedText(position)
        if len(text) < LONG_TEXT:
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
        else:
            # Only the batch call releases the lock, so that a thread can tokenize beside the event loop.
            encoding = self._tokenizer.encode_batch([text], add_special_tokens=False)[0]
        ids = np.array(encoding.ids, np.int64)
        offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        # A second lock on the door: an odd pre-tokenizer could hand WordPiece the literal string "[MASK]".
        ids[self._is_control[ids]] = self.special_tokens.unk
        return Encoded(
            ids=ids,
            offsets=extend_to_graphemes(text, offsets),
            unknown=ids == self.special_tokens.unk,
            continuation=self._is_continuation[ids],
        )

    def sequence(
        self, ids: IntArray, pair_ids: IntArray | None = None, *, positions: IntArray | None = None
    ) -> TokenSequence:
        """``[CLS] ids [SEP]``, or ``[CLS] ids [SEP] pair_ids [SEP]`` with the second segment's type 1.

        ``positions`` (for the generator graph) index into ``ids``; the row's ``[CLS]`` is accounted for here.

        Raises:
            ValueError: the row would be longer than ``max_tokens``: plan windows first.
        """
        marks = self.special_tokens
        cls, sep = np.array([marks.cls], np.int64), np.array([marks.sep], np.int64)
        parts = [cls, ids, sep] if pair_ids is None else [cls, ids, sep, pair_ids, sep]
        row = np.concatenate(parts)
        if len(row) > self.max_tokens:
            raise ValueError(f"a row of {len(row)} tokens is longer than the model's {self.max_tokens}")
        types = None
        if pair_ids is not None:
            types = np.zeros(len(row), np.int64)
            types[len(ids) + 2 :] = 1
        return TokenSequence(row, types, None if positions is None else positions + 1)
