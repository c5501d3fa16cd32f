"""Hugging Face data sets as rows: saved folders are memory-mapped, names are streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from training.corpus.config import SourceConfig
from training.errors import UserError


def data_set_rows(source: SourceConfig) -> Iterator[dict[str, Any]]:
    """The rows of a saved data set folder (``path``) or of a named one (``dataset``), in stored order.

    Raises:
        UserError: it cannot be opened, or has no such split (lists those there are).
    """
    import datasets

    path = source.expanded_path
    try:
        if path is not None:
            data = datasets.load_from_disk(str(path))
            if isinstance(data, datasets.DatasetDict):
                if source.split not in data:
                    raise UserError(f"{path}: no split {source.split!r}; there are: {', '.join(data)}")
                data = data[source.split]
        else:
            data = datasets.load_dataset(source.dataset, source.subset, split=source.split, streaming=True)
    except UserError:
        raise
    except Exception as error:  # the library raises many kinds, network errors among them
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"source {source.name!r}: data set {path or source.dataset} cannot be opened ({reason})"
        ) from None
    yield from data
