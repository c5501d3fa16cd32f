"""Examples to rows of token ids: tokenised exactly as the service does it, targets beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer

from app.bundle import SpecialTokens
from training.errors import UserError
from training.tables import REPLACED, TOKEN_TASKS, Example, Task
from training.tokenizer import special_tokens

IGNORED = -100


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One row of the model, special tokens included, unpadded.

    Attributes:
        input_ids, token_type_ids: int64 ``[tokens]``.
        target: int64 ``[]`` (single_label), float32 ``[labels]`` (multi_label), or int64 ``[tokens]`` with
            ``IGNORED`` where nothing is asked (token tasks). An unlabelled row has IGNORED, or NaN.
        example: index of the example that the row comes from; a long text of a token task gives several rows.
        units: int64 ``[n, 2]``, pairs of (unit of the example, token of the row) that carry token labels.
        truncated: the text did not fit.
        teacher: logits of the teacher in the shape of the model's own, or None.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    target: np.ndarray
    example: int
    units: np.ndarray
    truncated: bool = False
    teacher: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class FeatureBuilder:
    """Builds rows of at most ``max_tokens`` tokens, [CLS] and [SEP] included; ``labels`` name the targets."""

    tokenizer: Tokenizer
    task: Task
    labels: Sequence[str]
    max_tokens: int

    @cached_property
    def _special(self) -> SpecialTokens:
        return special_tokens(self.tokenizer)

    def build(self, examples: Sequence[Example], *, labelled: bool = True) -> list[Feature]:
        """Rows in the order of ``examples``. Without ``labelled`` nothing is asked of them."""
        encodings = self.tokenizer.encode_batch([e.text for e in examples], add_special_tokens=False)
        pairs: list[Encoding | None] = [None] * len(examples)
        with_pair = [at for at, example in enumerate(examples) if example.text_pair is not None]
        if with_pair:
            texts = [examples[at].text_pair or "" for at in with_pair]
            encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
            for at, encoding in zip(with_pair, encoded, strict=True):
                pairs[at] = encoding
        rows: list[Feature] = []
        for index, example in enumerate(examples):
            if self.task in TOKEN_TASKS:
                rows.extend(self._token_rows(example, encodings[index], index))
            else:
                pair = pairs[index]
                first, second, cut = shorten(
                    encodings[index].ids, None if pair is None else pair.ids, self.max_tokens
                )
                target = self._target(example) if labelled else self._no_target()
                rows.append(self._row(first, second, target, index, truncated=cut))
        return rows

    def _target(self, example: Example) -> np.ndarray:
        if self.task == "single_label":
            return np.asarray(self.labels.index(example.label), np.int64)
        return np.asarray([label in example.labels for label in self.labels], np.float32)

    def _no_target(self) -> np.ndarray:
        if self.task == "single_label":
            return np.asarray(IGNORED, np.int64)
        return np.full(len(self.labels), np.nan, np.float32)

    def _row(
        self,
        first: Sequence[int],
        second: Sequence[int] | None,
        target: np.ndarray,
        example: int,
        *,
        units: np.ndarray | None = None,
        truncated: bool = False,
    ) -> Feature:
        cls, sep = self._special.cls, self._special.sep
        ids, types = [cls, *first, sep], [0] * (len(first) + 2)
        if second is not None:
            ids, types = [*ids, *second, sep], types + [1] * (len(second) + 1)
        no_units = np.zeros((0, 2), np.int64)
        return Feature(
            np.asarray(ids, np.int64),
            np.asarray(types, np.int64),
            target,
            example,
            no_units if units is None else units,
            truncated,
        )

    def _token_rows(self, example: Example, encoding: Encoding, index: int) -> list[Feature]:
        """One row, or several where the text is longer than a row: no token is lost, none stands twice."""
        targets = np.full(len(encoding.ids), IGNORED, np.int64)
        pairs = touching(example.units, encoding.offsets)
        if self.task == "error_detection":
            targets[:] = 0
            for unit, piece in pairs:
                if example.labels[unit] == REPLACED:
                    targets[piece] = 1
        else:
            pairs = list({unit: (unit, piece) for unit, piece in reversed(pairs)}.values())[::-1]
            for unit, piece in reversed(pairs):
                targets[piece] = self.labels.index(example.labels[unit])
        room = self.max_tokens - 2
        rows = []
        for start in range(0, max(len(encoding.ids), 1), room):
            end = min(start + room, len(encoding.ids))
            inside = [(unit, piece - start + 1) for unit, piece in pairs if start <= piece < end]
            target = np.concatenate([[IGNORED], targets[start:end], [IGNORED]])
            units = np.asarray(inside, np.int64).reshape(-1, 2)
            rows.append(self._row(encoding.ids[start:end], None, target, index, units=units))
        return rows


def shorten(
    first: Sequence[int], second: Sequence[int] | None, max_tokens: int
) -> tuple[Sequence[int], Sequence[int] | None, bool]:
    """Cut to ``max_tokens``, special tokens included; a pair loses from its longer text first."""
    if second is None:
        room = max_tokens - 2
        return first[:room], None, len(first) > room
    room = max_tokens - 3
    extra = len(first) + len(second) - room
    if extra <= 0:
        return first, second, False
    keep_first, keep_second = len(first), len(second)
    lead = min(abs(keep_first - keep_second), extra)
    if keep_first > keep_second:
        keep_first -= lead
    else:
        keep_second -= lead
    rest = extra - lead
    keep_first, keep_second = keep_first - rest // 2, keep_second - (rest + 1) // 2
    return first[:keep_first], second[:keep_second], True


def touching(units: Sequence[tuple[int, int]], offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs (unit, piece) whose half-open spans overlap; both are in order of their place in the text."""
    pairs = []
    first = 0
    for unit, (start, end) in enumerate(units):
        while first < len(offsets) and offsets[first][1] <= start:
            first += 1
        piece = first
        while piece < len(offsets) and offsets[piece][0] < end:
            if offsets[piece][1] > start:
                pairs.append((unit, piece))
            piece += 1
    return pairs


def check_vocabulary(tokenizer: Tokenizer, vocab_size: int, checkpoint: str) -> None:
    """Refuse a tokenizer whose ids the model has no embedding for.

    Raises:
        UserError: naming both sizes.
    """
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest >= vocab_size:
        raise UserError(
            f"{checkpoint}: the tokenizer has ids up to {largest}, the model only {vocab_size} embeddings; "
            "give the tokenizer that the checkpoint was trained with"
        )


def unknown_share(features: Sequence[Feature], unknown_id: int) -> float:
    """Share of [UNK] among the tokens of the rows, special tokens not counted."""
    tokens = sum(len(feature) - 2 for feature in features)
    unknown = sum(int((feature.input_ids == unknown_id).sum()) for feature in features)
    return unknown / max(tokens, 1)


def with_teacher(features: Sequence[Feature], logits: Sequence[np.ndarray]) -> list[Feature]:
    """The rows with the teacher's logits beside."""
    return [replace(row, teacher=answer) for row, answer in zip(features, logits, strict=True)]


def collate(rows: Sequence[Feature], pad_id: int) -> dict[str, torch.Tensor]:
    """Pad to the longest row: ``input_ids, attention_mask, token_type_ids`` int64 ``[batch, tokens]``.

    ``target`` is padded with IGNORED; ``teacher`` is there if the rows have one.
    """
    longest = max(map(len, rows))
    ids = np.full((len(rows), longest), pad_id, np.int64)
    types = np.zeros_like(ids)
    mask = np.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row.input_ids
        types[at, : len(row)] = row.token_type_ids
        mask[at, : len(row)] = 1
    batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    targets, teachers = [row.target for row in rows], [row.teacher for row in rows if row.teacher is not None]
    per_token = targets[0].ndim == 1 and targets[0].dtype == np.int64
    batch["target"] = _padded(targets, longest, IGNORED) if per_token else np.stack(targets)
    if teachers:
        answers = _padded(teachers, longest, 0.0) if per_token else np.stack(teachers)
        batch["teacher"] = answers.astype(np.float32)
    return {name: torch.from_numpy(value) for name, value in batch.items()}


def _padded(arrays: Sequence[np.ndarray], longest: int, fill: float) -> np.ndarray:
    first = arrays[0]
    result = np.full((len(arrays), longest, *first.shape[1:]), fill, first.dtype)
    for at, array in enumerate(arrays):
        result[at, : len(array)] = array
    return result
