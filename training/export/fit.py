"""What an encoder bundle carries beside its graphs: calibration, thresholds, pooling statistics."""

from __future__ import annotations

import asyncio

import numpy as np

from app import bundle as b
from app.bundle_files import file_entry
from training.errors import UserError
from training.export.calibration import fit_calibration
from training.export.corruption import replaced_logits
from training.export.draft import Draft
from training.export.pooling import fit_pooling
from training.export.precisions import corrupted_rows
from training.export.texts import sentences_of
from training.export.unit_scores import score_units
from training.files import atomic_file
from training.tables import read_table

_STATISTICS_SENTENCES = 3_000
_STATISTICS_FILE = "pooling.npz"


def fit_encoder(draft: Draft) -> None:
    """Fit calibration and pooling statistics in the precision that will be served, and put them in the draft.

    Raises:
        UserError: calibration data that cannot be read, or that holds no error.
    """
    draft.manifest = draft.manifest.model_copy(update={"calibration": _calibration(draft)})
    draft.manifest = draft.manifest.model_copy(update={"pooling": _pooling(draft)})


def _calibration(draft: Draft) -> b.Calibration:
    config = draft.config
    if config.calibration_data is None:
        rows = corrupted_rows(draft)
        logits, replaced = asyncio.run(replaced_logits(draft.model(), rows))
        source = "its own generator" if "generator" in draft.manifest.graphs else "random tokens"
        fitted_on = f"{len(rows)} sentences corrupted by {source}"
    else:
        table = read_table(config.calibration_data, "error_detection", drop_empty=True)
        units = score_units(draft.model(), table.examples[: config.quality_rows])
        logits, replaced = units.logits[units.scored], units.wrong[units.scored]
        fitted_on = f"{table.path.name} ({units.texts} texts)"
    try:
        return fit_calibration(
            logits,
            replaced,
            fitted_on=f"{fitted_on}: {len(replaced)} units, {int(replaced.sum())} of them wrong",
            max_false_positive_rate=config.max_false_positive_rate,
        )
    except ValueError as error:
        where = config.calibration_data or "texts"
        raise UserError(f"{where}: {error}; give text with errors marked") from None


def _pooling(draft: Draft) -> b.Pooling:
    pooling = draft.manifest.pooling
    assert pooling is not None
    sentences = sentences_of(draft.documents, _STATISTICS_SENTENCES)
    statistics = fit_pooling(draft.model(), sentences, pooling.pooling)
    with atomic_file(draft.root / _STATISTICS_FILE) as stream:
        np.savez(stream, mean=statistics.mean, whitening=statistics.whitening)
    entry = file_entry(draft.root, _STATISTICS_FILE)
    return pooling.model_copy(update={"statistics": entry, "postprocess": draft.config.postprocess})
