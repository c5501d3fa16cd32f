"""Train the sentence scorer of an encoder bundle and put it into the bundle.

Labels are a greedy oracle's: the sentences of a document that raise ROUGE against its summary most, by
character for Chinese and by word for English. Features come from the exported bundle through
``app.tasks.summarize``, so what is learnt is exactly what will be served.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.bundle import BundleError, FileEntry, Metric
from app.bundle_files import file_entry, read_bundle, write_manifest
from app.scheduler.engine import RequestContext
from app.tasks.local import local_model
from app.tasks.model import ServedModel
from app.tasks.summarize import (
    SentenceScorer,
    SummarizeOptions,
    scorer_arrays,
    segment_document,
    sentence_features,
    sentence_vectors,
)
from training.errors import UserError
from training.evaluate.summarization import (
    SummarySet,
    read_summary_set,
    rouge_of,
    sentences_per_summary,
)
from training.evaluate.summary_baselines import oracle
from training.files import atomic_file
from training.finetune.scorer_config import ScorerConfig
from training.finetune.scorer_fit import DocumentExample, fit_scorer
from training.rouge import rouge

_DOCUMENTS_AT_ONCE = 16


@dataclass(frozen=True)
class ScorerFigure:
    """ROUGE-1, -2 and -L F-measures on one dev set, of the scorer and of lead."""

    data_set: str
    documents: int
    sentences: int
    scorer: tuple[float, float, float]
    lead: tuple[float, float, float]


def train_scorer(config: ScorerConfig, *, progress: bool = True) -> list[ScorerFigure]:
    """Fit a scorer for ``config.bundle``, judge it beside lead on each dev set, and install it.

    Raises:
        UserError: the bundle is no encode bundle, a table cannot be read, or nothing can be learnt from it.
    """
    bundle = Path(config.bundle)
    try:
        model = local_model(bundle)
    except BundleError as error:
        raise UserError(str(error)) from None
    if model.bundle.manifest.task != "encode":
        raise UserError(f"{bundle}: is a {model.bundle.manifest.task} bundle; name an encode bundle")
    train = [read_summary_set(path, config.documents, "train") for path in config.train]
    dev = [read_summary_set(path, config.dev_documents, "dev") for path in config.dev]
    examples = {
        split: [
            example
            for data in sets
            for example in document_examples(model, data, config.most_sentences, progress=progress)
        ]
        for split, sets in (("train", train), ("dev", dev))
    }
    scorer = fit_scorer(examples["train"], examples["dev"], config, progress=progress)
    install_scorer(bundle, scorer, make_default=config.make_default)
    served = local_model(bundle)
    figures = [_judge(served, data) for data in dev]
    _record(bundle, figures)
    return figures


def document_examples(
    model: ServedModel, data: SummarySet, most_sentences: int, *, progress: bool = True
) -> list[DocumentExample]:
    """Features and oracle labels of the sentences of each document."""
    settings = model.bundle.manifest.pooling
    assert settings is not None, "an encode bundle says how it pools"
    examples: list[DocumentExample] = []
    with tqdm(
        total=len(data.documents), desc=f"sentences, {data.name}", unit="text", disable=not progress
    ) as bar:
        for start in range(0, len(data.documents), _DOCUMENTS_AT_ONCE):
            documents = data.documents[start : start + _DOCUMENTS_AT_ONCE]
            segments = [segment_document(text) for text in documents]
            encoded = [model.encoder.encode(text) for text in documents]
            vectors = asyncio.run(
                sentence_vectors(model, encoded, segments, settings.pooling, RequestContext())
            )
            for place, sentences in enumerate(segments):
                labels = oracle_labels(
                    [segment.text for segment in sentences], data.references[start + place], most_sentences
                )
                examples.append(DocumentExample(sentence_features(sentences, vectors[place].vectors), labels))
            bar.update(len(documents))
    return examples


def oracle_labels(sentences: Sequence[str], reference: str, most: int) -> np.ndarray:
    """bool ``[sentences]``: what the greedy oracle chooses, at most ``most``, none where nothing matches."""
    labels = np.zeros(len(sentences), bool)
    chosen = oracle(sentences, min(most, len(sentences)), reference, np.random.default_rng(0))
    if rouge("\n".join(sentences[index] for index in chosen), reference).rouge1 > 0:
        labels[chosen] = True
    return labels


def install_scorer(bundle_dir: Path, scorer: SentenceScorer, *, make_default: bool = False) -> None:
    """Put ``scorer`` beside the bundle's mean and whitening; the bundle can be loaded at every moment.

    The arrays go to a file of a new name, the manifest that names it appears atomically, the old file goes.

    Raises:
        BundleError: the bundle cannot be read.
    """
    bundle = read_bundle(bundle_dir)
    settings = bundle.manifest.pooling
    assert settings is not None, "an encode bundle says how it pools"
    hidden = bundle.manifest.hidden_size
    # A bundle without statistics neither centres nor whitens; these say so.
    arrays = {"mean": np.zeros(hidden, np.float32), "whitening": np.eye(hidden, dtype=np.float32)}
    old = settings.statistics
    if old is not None:
        with np.load(bundle_dir / old.path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("mean", "whitening")}
    arrays |= scorer_arrays(scorer)
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest()[:12]
    name = f"pooling-{digest}.npz"
    with atomic_file(bundle_dir / name) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # a key could be called allow_pickle
    changes: dict[str, FileEntry | str] = {"statistics": file_entry(bundle_dir, name)}
    if make_default:
        changes["method"] = "scorer"
    manifest = bundle.manifest.model_copy(update={"pooling": settings.model_copy(update=changes)})
    write_manifest(bundle_dir, manifest)
    if old is not None and old.path != name:
        (bundle_dir / old.path).unlink()


def _judge(model: ServedModel, data: SummarySet) -> ScorerFigure:
    count = sentences_per_summary(data.references)
    results = {}
    for method in ("scorer", "lead"):
        options = SummarizeOptions(num_sentences=count, method=method)
        scores = [astuple(score) for score in rouge_of(model, data, options)]
        one, two, longest = (float(value) for value in np.mean(scores, axis=0))
        results[method] = (one, two, longest)
    return ScorerFigure(data.name, len(data.documents), count, results["scorer"], results["lead"])


def _record(bundle_dir: Path, figures: Sequence[ScorerFigure]) -> None:
    """Write the figures into the bundle, in place of those of an earlier scorer."""
    manifest = read_bundle(bundle_dir).manifest
    names = ("rouge1 (scorer)", "rouge2 (scorer)", "rougeL (scorer)")
    replaced = {(figure.data_set, name) for figure in figures for name in names}
    metrics = [
        metric
        for metric in manifest.metrics
        if metric.split != "dev" or (metric.data_set, metric.metric) not in replaced
    ]
    for figure in figures:
        for name, value, lead in zip(names, figure.scorer, figure.lead, strict=True):
            metrics.append(
                Metric(
                    data_set=figure.data_set,
                    split="dev",
                    n=figure.documents,
                    metric=name,
                    value=value,
                    baseline="lead",
                    baseline_value=lead,
                )
            )
    write_manifest(bundle_dir, manifest.model_copy(update={"metrics": metrics}))


def figures_text(figures: Sequence[ScorerFigure]) -> str:
    """The figures as lines that a person reads."""
    lines = []
    for figure in figures:
        own, lead = (
            " / ".join(f"{100 * value:.2f}" for value in side) for side in (figure.scorer, figure.lead)
        )
        lines.append(
            f"{figure.data_set}: {figure.documents} documents, {figure.sentences} sentence(s): "
            f"ROUGE-1/2/L scorer {own}, lead {lead}"
        )
    return "\n".join(lines)
