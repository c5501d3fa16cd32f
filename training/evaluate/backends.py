"""The same test set in every precision that the bundle offers, and with OpenVINO where it is installed."""

from __future__ import annotations

from dataclasses import replace

from app.bundle import Bundle, Metric
from app.runtime.opening import openvino_installed
from app.runtime.openvino_session import computed_in
from app.tasks.local import DirectEngine
from app.tasks.model import ServedModel
from training.evaluate.classification import decisions
from training.evaluate.config import EvaluateConfig
from training.evaluate.labelled_set import LabelledSet
from training.evaluate.report import ReportTable, Section
from training.export.quality import predictions


def other_precisions(model: ServedModel, test: LabelledSet, config: EvaluateConfig) -> Section:
    """Accuracy of each precision and backend on the test set, and how often it decides as the first does."""
    section = Section("Precisions and backends")
    rows: list[list[str | float]] = []
    reference = None
    for name, variant in _variants(model.bundle, model, config):
        chosen = decisions(predictions(variant, test.texts, test.pairs, test.places), _several(model))
        reference = chosen if reference is None else reference
        accuracy = float((chosen == test.truth).all(axis=1).mean())
        same = float((chosen == reference).all(axis=1).mean())
        rows.append([name, accuracy, same])
        section.figures[name] = {"accuracy": accuracy, "agreement": same}
        section.metrics.append(
            Metric(
                data_set=test.name,
                split=test.split,
                n=len(test.examples),
                metric=f"accuracy ({name})",
                value=accuracy,
            )
        )
    section.tables.append(
        ReportTable("On the test set", ["", "accuracy", f"same decision as {rows[0][0]}"], rows)
    )
    return section


def _several(model: ServedModel) -> bool:
    return model.bundle.manifest.problem_type == "multi_label"


def _variants(bundle: Bundle, model: ServedModel, config: EvaluateConfig) -> list[tuple[str, ServedModel]]:
    files = bundle.manifest.graphs["model"].files
    variants = []
    for precision in sorted(files):
        engine = DirectEngine(bundle, precision=precision, threads=config.threads)
        variants.append((f"{precision}, onnxruntime", replace(model, engine=engine)))
    if openvino_installed() and "fp32" in files:
        engine = DirectEngine(bundle, precision="fp32", threads=config.threads, backend="openvino")
        numbers = computed_in("fp32", bundle.manifest.graphs["model"].may_use("bf16"))
        variants.append((f"{numbers}, openvino", replace(model, engine=engine)))
    return variants
