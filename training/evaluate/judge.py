"""One bundle, judged by what it serves: every part of the report, in order."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

from app.bundle import BundleError, Precision
from app.runtime.threads import available_threads
from app.scheduler.engine import RequestContext
from app.tasks.classify import classify
from app.tasks.detect import DetectOptions, detect_replaced
from app.tasks.local import local_model
from app.tasks.model import ServedModel
from training.errors import UserError
from training.evaluate import detection
from training.evaluate.backends import other_precisions
from training.evaluate.classification import TFIDF, judge_classifier
from training.evaluate.config import EvaluateConfig, check_data
from training.evaluate.detection_figures import headline
from training.evaluate.labelled_set import LabelledSet, read_test_set
from training.evaluate.latency import Latency, measure_latency
from training.evaluate.record import record_metrics
from training.evaluate.report import JSON, Report, ReportTable, Section, write_report
from training.evaluate.summarization import judge_summaries, read_summary_set
from training.files import refuse_to_replace


def evaluate(bundle_dir: Path, config: EvaluateConfig, *, progress: bool = True) -> Report:
    """Judge the bundle in ``bundle_dir`` and write the report to ``config.output``.

    Raises:
        UserError: a bundle that cannot be served, data that cannot be read or does not fit the bundle.
    """
    model = open_bundle(bundle_dir, config.precision, config.threads)
    manifest = model.bundle.manifest
    check_data(config, model.name, classifier=manifest.task == "classify")
    refuse_to_replace(output_directory(model, config), JSON, "report")  # before all work, not after it
    own = manifest.graphs["model"].default_precision
    if config.record and config.precision not in (None, own):
        raise UserError(
            f"record: the figures of {config.precision} are not of what {model.name} serves, {own}; "
            "leave precision or record out"
        )
    precision = config.precision or own
    report = Report(f"{manifest.name}/{manifest.version} ({precision})", date.today().isoformat())
    with tempfile.TemporaryDirectory() as scratch:
        plots = Path(scratch)
        if manifest.task == "classify":
            _judge_classifier(model, config, report, plots)
        else:
            _judge_encoder(model, config, report, plots, progress)
        write_report(report, plots, output_directory(model, config))
    if config.record:
        record_metrics(bundle_dir, report.metrics, failed=report.passed is False)
    return report


def open_bundle(bundle_dir: Path, precision: Precision | None, threads: int | None) -> ServedModel:
    """The bundle as it is served.

    Raises:
        UserError: it cannot be served; says why.
    """
    try:
        return local_model(bundle_dir, precision=precision, threads=threads)
    except BundleError as error:
        raise UserError(str(error)) from None


def output_directory(model: ServedModel, config: EvaluateConfig) -> Path:
    """Where the report goes."""
    if config.output:
        return Path(config.output)
    return Path("reports") / f"{model.name}-{model.version}"


def _judge_classifier(model: ServedModel, config: EvaluateConfig, report: Report, plots: Path) -> None:
    test = read_test_set(model, config)
    report.warnings += test.warnings
    section, _ = judge_classifier(model, test, config, plots)
    report.sections.append(section)
    accuracy = section.figures["bundle"]["accuracy"]["value"]
    report.headline.append(
        f"Accuracy {accuracy:.4f} on {test.name} ({test.split}, {len(test.examples)} rows)."
    )
    cleared = []
    if config.floor is not None:
        cleared.append(accuracy > config.floor)
        relation = "above" if cleared[-1] else "not above"
        report.headline.append(f"That is {relation} the floor ({config.floor:.4f}).")
    if TFIDF in section.figures:
        # Above by chance is not above: the rows on which only one of the two is right decide.
        paired, bar = section.figures["paired"], section.figures[TFIDF]["accuracy"]["value"]
        cleared.append(paired["verdict"] == "better")
        shown = f"{paired['verdict']}, p = {paired['p']:.2g}, {paired['test']}"
        report.headline.append(f"{TFIDF} on the same rows: {bar:.4f} ({shown}).")
    if cleared:
        report.passed = all(cleared)
        marked = config.record or model.bundle.manifest.experimental
        report.headline.append(_verdict(report.passed, marked))
    report.sections.append(_classifier_speed(model, test, config))
    report.sections.append(other_precisions(model, test, config))


def _verdict(passed: bool, marked: bool) -> str:
    if passed:
        return "The bundle clears its bar."
    done = "it is marked experimental" if marked else "it is not marked experimental: give --record"
    return f"The bundle does not clear its bar; {done}."


def _classifier_speed(model: ServedModel, test: LabelledSet, config: EvaluateConfig) -> Section:
    pairs = dict(zip(test.texts, test.pairs or (), strict=False))

    async def answer(text: str) -> object:
        pair = [pairs[text]] if pairs else None
        return await classify(model, [text], text_pair=pair, truncate=bool(pairs), context=RequestContext())

    latency = measure_latency(answer, test.texts, config.latency_texts)
    return _speed("Latency of POST /classify without HTTP", latency, config)


def _judge_encoder(
    model: ServedModel, config: EvaluateConfig, report: Report, plots: Path, progress: bool
) -> None:
    found: list[Section] = []
    if config.errors or config.clean:
        found.append(detection.judge_real_errors(model, config, plots, progress=progress))
    if config.heldout:
        found.append(detection.judge_corrupted(model, config, plots, progress=progress))
    report.headline += headline(found)
    report.sections += found
    summaries = judge_summaries(model, config, plots, progress=progress)
    report.headline += [f"{section.title}: {section.text[-1]}" for section in summaries]
    report.sections += summaries
    texts = read_summary_set(config.summaries[0], 50).documents if config.summaries else []
    if not texts:
        texts = detection.some_texts(config)

    async def answer(text: str) -> object:
        return await detect_replaced(model, [text], DetectOptions(), RequestContext())

    latency = measure_latency(answer, texts, config.latency_texts)
    report.sections.append(_speed("Latency of POST /detect-replaced without HTTP", latency, config))


def _speed(title: str, latency: Latency, config: EvaluateConfig) -> Section:
    threads = config.threads or available_threads()
    rows = [[latency.texts, latency.characters, latency.p50, latency.p95, latency.mean]]
    header = ["texts", "characters (mean)", "p50 ms", "p95 ms", "mean ms"]
    table = ReportTable(f"One text at a time, {threads} threads", header, rows)
    return Section(title, tables=[table], figures=vars(latency) | {"threads": threads})
