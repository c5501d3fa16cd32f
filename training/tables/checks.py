"""Whether train, dev and test fit together: classes, labels that train never had, shared rows."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from training.errors import UserError
from training.tables.examples import Example, Table, Task


def join_tables(tables: Sequence[Table]) -> list[Example]:
    """The examples of several tables; ``place`` then names the file too."""
    return [
        Example(e.text, f"{table.path}, {e.place}", e.labels, e.text_pair, e.units)
        for table in tables
        for e in table.examples
    ]


def check_pairs(tables: Sequence[Table]) -> None:
    """Refuse tables of single texts beside tables of pairs: a model reads one or the other.

    Raises:
        UserError: naming one of each.
    """
    by_kind = {table.pairs is not None: table.path for table in tables}
    if len(by_kind) > 1:
        raise UserError(
            f"{by_kind[False]}: no text_pair column, but {by_kind[True]} has one; name it in "
            "columns.text_pair, or give single texts or pairs throughout"
        )


def check_label_names(
    tables: Sequence[Table], label_names: Mapping[str, str], *, may_lack: bool = False
) -> None:
    """Refuse a key of ``label_names`` that no row of ``tables`` has: a name that renames nothing is a typo.

    Args:
        may_lack: test tables alone may lack a label; then only keys of which none occurs are refused.

    Raises:
        UserError: naming the key, and the labels as they stand in the tables.
    """
    found = sorted({label for table in tables for label in table.raw_labels}, key=_natural)
    absent = [key for key in label_names if key not in found]
    if not absent or not tables or (may_lack and len(absent) < len(label_names)):
        return
    near = difflib.get_close_matches(absent[0], found, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "name a label as it stands in the file"
    more = f", … ({len(found)} labels)" if len(found) > 20 else ""
    raise UserError(
        f"label_names: no row of {', '.join(str(table.path) for table in tables)} has label {absent[0]!r}; "
        f"{hint} (found: {', '.join(found[:20])}{more})"
    )


def check_labels(train: Sequence[Example], others: Mapping[str, Sequence[Example]], task: Task) -> list[str]:
    """The sorted label names of ``train``.

    Raises:
        UserError: train has one label only, or dev or test hold a label that train never had.
    """
    counts = Counter(label for example in train for label in example.labels)
    labels = sorted(counts, key=_natural)
    if len(labels) < 2 and task != "multi_label":
        only = labels[0] if labels else "none"
        raise UserError(
            f"{train[0].place}: train has one class only ({only}); give examples of two classes or more"
        )
    if not labels:
        raise UserError(f"{train[0].place}: train has no label at all; give labelled examples")
    if len(labels) < 2:
        raise UserError(
            f"{train[0].place}: train has one label only ({labels[0]}); take single_label, with a name for "
            "the other rows"
        )
    for name, examples in others.items():
        unseen = [(example, label) for example in examples for label in example.labels if label not in counts]
        if unseen:
            example, label = unseen[0]
            raise UserError(
                f"{example.place}: {name} has label {label!r}, which train never had "
                f"({len(unseen)} such); train has {', '.join(labels[:20])}"
            )
    return labels


def _natural(label: str) -> tuple[int, int, str]:
    """Numbers in number order, before words."""
    return (0, int(label), "") if label.isdecimal() else (1, 0, label)


def text_key(example: Example) -> tuple[str, str]:
    """What makes two rows the same: both texts after NFKC and with white space collapsed."""
    return folded(example.text), folded(example.text_pair or "")


def folded(text: str) -> str:
    """``text`` after NFKC and with white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def check_dev(dev: Sequence[Example], test: Sequence[Example]) -> list[str]:
    """A warning where rows of dev, which choose the checkpoint, stand in test too."""
    places = {text_key(example): example.place for example in test}
    shared = [(example, places[key]) for example in dev if (key := text_key(example)) in places]
    if not shared:
        return []
    example, place = shared[0]
    return [
        f"{len(shared)} dev rows also stand in test (first: {example.place} = {place}): dev chooses the "
        "checkpoint, so test figures flatter"
    ]


def _alike(train: Sequence[Example]) -> list[str]:
    """A warning where two labels are most likely meant as one: after NFKC, case and white space."""
    places = {label: example.place for example in reversed(train) for label in example.labels}
    first: dict[str, str] = {}
    pairs = [
        (one, label)
        for label in sorted(places)
        if (one := first.setdefault(folded(label).casefold(), label)) != label
    ]
    if not pairs:
        return []
    one, other = pairs[0]
    return [
        f"labels {one!r} ({places[one]}) and {other!r} ({places[other]}) differ only by width, case or "
        f"blanks ({len(pairs)} such): join them with label_names if they are one"
    ]


def check_overlap(
    train: Sequence[Example], others: Mapping[str, Sequence[Example]], *, drop: bool = False
) -> tuple[list[Example], list[str]]:
    """Train rows (``drop``: without those that also stand in dev or test) and warnings with the counts: of
    these, of texts that stand in train with different labels, and of labels that look like one.
    """
    warnings, remove = _alike(train), set()
    keys = [text_key(example) for example in train]
    for name, examples in others.items():
        theirs = {text_key(example): example.place for example in examples}
        shared = [at for at, key in enumerate(keys) if key in theirs]
        if shared:
            remove.update(shared)
            action = (
                "left out of train"
                if drop
                else f"{name} figures flatter; set overlap: drop to leave them out"
            )
            warnings.append(
                f"{len(shared)} train rows also stand in {name} "
                f"(first: {train[shared[0]].place} = {theirs[keys[shared[0]]]}): {action}"
            )
    first: dict[tuple[str, str], Example] = {}
    conflicts = []
    for key, example in zip(keys, train, strict=True):
        if set(first.setdefault(key, example).labels) != set(example.labels):
            conflicts.append((first[key], example))
    if conflicts:
        one, other = conflicts[0]
        warnings.append(
            f"{len(conflicts)} train rows repeat a text with another label "
            f"(first: {one.place} and {other.place})"
        )
    kept = [example for at, example in enumerate(train) if not (drop and at in remove)]
    if not kept:
        raise UserError(f"{train[0].place}: every train row also stands in dev or test; give other rows")
    return kept, warnings
