"""Which precisions a bundle offers: made, measured on the same rows, kept or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np

from app import bundle as b
from app.bundle_files import file_entry
from app.runtime.batch import collate
from app.runtime.opening import openvino_promising
from training.errors import UserError
from training.export.corruption import CorruptedRow, corrupt_at_random, corrupt_with_generator
from training.export.draft import Draft
from training.export.quality import (
    Quality,
    agreement,
    classifier_quality,
    detector_quality,
    gate,
    generator_quality,
    predictions,
    read_test_table,
)
from training.export.quantize import quantize_graph
from training.export.texts import rows_of_text, sentences_of

ROW_TOKENS = 126
"""Longest sentences that measurements use: longer ones add time, not evidence."""
_CALIBRATION_BATCHES = 32
_GENERATOR_ROWS = 1000  # five masked places each; vocabulary logits are slow
_BATCH = 4


def choose_precisions(draft: Draft) -> list[str]:
    """Measure fp32, make and measure int8 where it is wanted, keep what passes; measure bf16 where OpenVINO
    is installed on a CPU with AMX. Returns lines for the user.

    Raises:
        UserError: int8 was to be the model's only precision and loses too much.
    """
    lines = []
    for name, measure in _measurements(draft).items():
        graph = draft.manifest.graphs[name]
        quality: dict[b.Measured, Quality] = {"fp32": measure("fp32")}
        draft.set_graph(name, graph.model_copy(update={"quality": quality}))
        keep: list[b.Precision] = ["fp32"]
        default: b.Precision = "fp32"
        if "int8" in draft.config.precisions:
            quality["int8"] = _add_int8(draft, name, measure)
            refusal = gate(quality, "int8", draft.config)
            if refusal is None or draft.config.allow_quality_loss:
                keep = [p for p in ("fp32", "int8") if p in draft.config.precisions]
                default = "fp32" if refusal and "fp32" in keep else "int8"
                if refusal:
                    lines.append(f"{name}: {refusal}; kept because allow_quality_loss is set")
            elif name == "model" and "fp32" not in draft.config.precisions:
                raise UserError(
                    f"{draft.config.name}: {refusal}; nothing was exported. Add fp32 to precisions, or set "
                    "allow_quality_loss"
                )
            else:
                lines.append(f"{name}: {refusal}; only fp32 is kept")
        refused: list[b.Measured] = []
        if "fp32" in keep and openvino_promising():
            lines += _add_bf16(draft, name, measure, quality, refused)
        _keep(draft, name, keep, default, quality, refused)
    return lines


def _add_int8(draft: Draft, name: b.GraphName, measure: Callable[[b.Measured], Quality]) -> Quality:
    """Write the int8 file of a graph by the method that the configuration names; returns its quality."""
    method = draft.config.int8 if name == "model" else "dynamic"
    methods: tuple[Literal["dynamic", "static"], ...] = (
        ("dynamic", "static") if method == "best" else (method,)
    )
    source, target = draft.root / f"{name}.onnx", draft.root / f"{name}.int8.onnx"
    best: Quality | None = None
    for candidate in methods:
        kept = target.read_bytes() if target.exists() else b""
        quantize_graph(source, target, _feeds(draft) if candidate == "static" else None)
        graph = draft.manifest.graphs[name]
        files = graph.files | {"int8": file_entry(draft.root, target.name)}
        draft.set_graph(name, graph.model_copy(update={"files": files}))
        quality = measure("int8")
        if best is None or next(iter(quality.values())) > next(iter(best.values())):
            best = quality
        else:
            target.write_bytes(kept)
    assert best is not None
    return best


def _add_bf16(
    draft: Draft,
    name: b.GraphName,
    measure: Callable[[b.Measured], Quality],
    quality: dict[b.Measured, Quality],
    refused: list[b.Measured],
) -> list[str]:
    """Measure the fp32 file in bf16; writes into ``quality`` and ``refused``, returns lines for the user."""
    try:
        quality["bf16"] = measure("bf16")
    except b.BundleError as error:
        return [f"{name}: bf16 was not measured: {error}"]
    refusal = gate(quality, "bf16", draft.config)
    if refusal is None:
        return []
    if draft.config.allow_quality_loss:
        return [f"{name}: {refusal}; used because allow_quality_loss is set"]
    refused.append("bf16")
    return [f"{name}: {refusal}; OpenVINO will compute in fp32"]


def _feeds(draft: Draft) -> Iterable[dict[str, np.ndarray]]:
    """Batches of real text whose activation ranges a static graph is given."""
    model = draft.model("fp32")
    rows = rows_of_text(draft.documents, model.encoder, ROW_TOKENS, _CALIBRATION_BATCHES * _BATCH)
    sequences = sorted((model.encoder.sequence(row.ids) for row in rows), key=len)
    for start in range(0, len(sequences), _BATCH):
        yield collate(sequences[start : start + _BATCH], model.encoder.special_tokens.pad)


def _keep(
    draft: Draft,
    name: b.GraphName,
    keep: list[b.Precision],
    default: b.Precision,
    quality: dict[b.Measured, Quality],
    refused: list[b.Measured],
) -> None:
    graph = draft.manifest.graphs[name]
    for precision, entry in graph.files.items():
        if precision not in keep:
            (draft.root / entry.path).unlink(missing_ok=True)
    files = {
        precision: file_entry(draft.root, graph.files[precision].path)
        for precision in keep
        if precision in graph.files
    }
    updated = {"files": files, "default_precision": default, "quality": quality, "refused": refused or None}
    draft.set_graph(name, graph.model_copy(update=updated))


def corrupted_rows(draft: Draft) -> list[CorruptedRow]:
    """Sentences corrupted by the draft's own generator, or at random where it has none."""
    model = draft.model()
    rows = rows_of_text(draft.documents, model.encoder, ROW_TOKENS, draft.config.quality_rows)
    if not rows:
        raise UserError("texts: no sentence of 8 characters or more; name running text in `texts`")
    if model.has_generator:
        return asyncio.run(corrupt_with_generator(draft.model("fp32"), rows, draft.config.seed))[0]
    ids = np.unique(np.concatenate([row.ids for row in rows]))
    return corrupt_at_random(rows, ids, draft.config.seed)


def _measurements(draft: Draft) -> dict[b.GraphName, Callable[[b.Measured], Quality]]:
    """How the quality of each graph is measured; every precision on the same rows."""
    if draft.manifest.task == "classify":
        return {"model": _classifier_measurement(draft)}
    corrupted = corrupted_rows(draft)
    measurements: dict[b.GraphName, Callable[[b.Measured], Quality]] = {
        "model": lambda numbers: detector_quality(draft.model(numbers), corrupted)
    }
    if "generator" in draft.manifest.graphs:
        encoder = draft.model().encoder
        limit = min(draft.config.quality_rows, _GENERATOR_ROWS)
        rows = rows_of_text(draft.documents, encoder, ROW_TOKENS, limit)
        seed = draft.config.seed
        measurements["generator"] = lambda numbers: generator_quality(draft.model(numbers), rows, seed)
    return measurements


def _classifier_measurement(draft: Draft) -> Callable[[b.Measured], Quality]:
    config, manifest = draft.config, draft.manifest
    multi_label = manifest.problem_type == "multi_label"
    if config.test_data is not None:
        table = read_test_table(
            config.test_data,
            manifest.labels,
            multi_label,
            config.quality_rows,
            config.label_names,
            config.columns,
        )
        return lambda numbers: classifier_quality(draft.model(numbers), table)
    texts = sentences_of(draft.documents, config.quality_rows)
    if not texts:
        raise UserError("texts: no sentence of 8 characters or more; name running text in `texts`")
    reference = predictions(draft.model("fp32"), texts, None)

    def measure(numbers: b.Measured) -> Quality:
        if numbers == "fp32":
            return {"agreement": 1.0}
        return agreement(reference, predictions(draft.model(numbers), texts, None), multi_label)

    return measure
