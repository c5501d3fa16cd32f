"""Fine-tuning from configuration to a Hugging Face directory: data, seeds, votes, distillation, report."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from app.runtime.threads import available_threads
from training.allocator import keep_freed_memory
from training.errors import UserError
from training.files import atomic_directory, only_one, refuse_to_replace
from training.finetune.baseline_scores import baseline_scores
from training.finetune.config import FinetuneConfig
from training.finetune.data import RunData, read_data
from training.finetune.earlier import REPORT_NAME, fingerprint_of, json_safe, report_in, what_else
from training.finetune.features import Feature, FeatureBuilder, check_vocabulary, unknown_share, with_teacher
from training.finetune.linear import TFIDF, linear_teacher
from training.finetune.metrics import averaged, majority_scores, primary_metric, score
from training.finetune.model import read_config
from training.finetune.ngrams import add_ngrams
from training.finetune.seed_run import RESULT_NAME, RunParts, SeedResult, run_seed, seed_logits
from training.finetune.teacher import teacher_logits
from training.finetune.trainer import Split
from training.hardware import default_device, hardware_name, native_bfloat16
from training.ngrams.model import NgramClassifier
from training.tokenizer import load_tokenizer, special_tokens

# Above this share of [UNK] the vocabulary is not of the language.
_FOREIGN_SHARE = 0.3


def finetune(
    config: FinetuneConfig, output_dir: Path, *, progress: bool = True, restart: bool = False
) -> dict[str, Any]:
    """Fine-tune, write ``output_dir`` (model, tokenizer, finetune.json) in one move, and return the report.

    A run that was stopped goes on from its last checkpoint, kept beside ``output_dir`` in
    ``<name>.work-<fingerprint>``; an output made from the same configuration and data is returned as it is.
    ``restart`` begins anew in both cases. A model that it replaces and checkpoints of other runs are named.

    Raises:
        UserError: bad data, checkpoint or configuration; something else in ``output_dir``; this run goes on
            in another process.
    """
    start = time.perf_counter()
    output_dir = output_dir.absolute()  # "." has no name to put a temporary one beside
    refuse_to_replace(output_dir, REPORT_NAME, "fine-tuned model")
    threads = config.threads or available_threads()
    torch.set_num_threads(threads)
    keep_freed_memory()
    data = read_data(config)
    for line in data.warnings:
        print(f"warning: {line}", file=sys.stderr)
    fingerprint = fingerprint_of(config, data)
    work = output_dir.with_name(f"{output_dir.name}.work-{fingerprint[:12]}")
    found = report_in(output_dir)
    if not restart and found.get("fingerprint") == fingerprint:
        return found
    with only_one(work):
        found = report_in(output_dir)
        if restart:
            for place in filter(Path.is_dir, work.iterdir()):  # the lock stays
                shutil.rmtree(place)
        elif found.get("fingerprint") == fingerprint:
            shutil.rmtree(work, ignore_errors=True)
            return found
        for line in what_else(config, found, fingerprint, output_dir, work):
            print(f"warning: {line}", file=sys.stderr)
        report, chosen, ngrams = _train(config, data, work, progress=progress)
        report |= {
            "threads": threads,
            "fingerprint": fingerprint,
            "date": datetime.now(UTC).date().isoformat(),
            "seconds": round(time.perf_counter() - start, 1),
        }
        report = json_safe(report)
        _write(output_dir, report, chosen, ngrams)
        shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):  # on NFS the lock's file goes only when it is closed
        work.rmdir()
    return report


def _train(
    config: FinetuneConfig, data: RunData, work: Path, *, progress: bool
) -> tuple[dict[str, Any], Path, NgramClassifier | None]:
    """Train every seed in ``work``; the report, the folder of the chosen model, and n-grams beside it."""
    parts, quality = _parts(config, data, progress=progress)
    train = parts.train
    if config.teacher is not None:
        train = _taught(config, data, parts)
    places = [work / f"seed-{seed}" for seed in config.seeds]
    results = [
        run_seed(parts, seed, place, train if config.teacher else None)
        for seed, place in zip(config.seeds, places, strict=True)
    ]
    best = max(range(len(results)), key=lambda at: _rank(results[at], parts.metric))
    chosen, chosen_result = places[best], results[best]
    report = _report(config, data, parts, results)
    if len(results) > 1:
        report["vote"] = _vote(parts, places)
    if config.distill_seeds:
        chosen = work / "distilled"
        chosen_result = _distil(config, data, parts, places, chosen)
        report["distilled"] = dataclasses.asdict(chosen_result)
    ngrams: NgramClassifier | None = None
    together: dict[str, Any] = {}
    if config.ngrams:
        ngrams, together = add_ngrams(data, parts, chosen)
        report["ngrams"] = together
    report |= {
        "chosen": "distilled" if config.distill_seeds else f"seed {chosen_result.seed}",
        "dev": together["dev"]["together"] if together else chosen_result.dev,
        "test": together.get("test", {}).get("together", {}) if together else chosen_result.test,
        "rows": quality,
        "hardware": hardware_name(),
        "torch": torch.__version__,
        "precision": "bf16" if parts.bf16 else "fp32",
    }
    return report, chosen / "model", ngrams


def _write(output_dir: Path, report: dict[str, Any], model: Path, ngrams: NgramClassifier | None) -> None:
    with atomic_directory(output_dir) as directory:
        for file in model.iterdir():
            if file.name != RESULT_NAME:
                shutil.copy2(file, directory / file.name)
        if ngrams is not None:
            ngrams.save(directory)
        text = json.dumps(report, ensure_ascii=False, indent=2)
        (directory / REPORT_NAME).write_text(text + "\n", encoding="utf-8")


def _parts(config: FinetuneConfig, data: RunData, *, progress: bool) -> tuple[RunParts, dict[str, Any]]:
    checkpoint = Path(config.checkpoint)
    model_config = read_config(checkpoint)
    if config.max_tokens > model_config.max_position_embeddings:
        raise UserError(
            f"{checkpoint}: max_tokens {config.max_tokens} is more than the checkpoint's "
            f"{model_config.max_position_embeddings} positions; lower max_tokens"
        )
    if model_config.type_vocab_size < 2 and data.train[0].text_pair is not None:
        raise UserError(
            f"{checkpoint}: has one token type only, sentence pairs need two; give another checkpoint"
        )
    tokenizer = load_tokenizer(checkpoint)
    check_vocabulary(tokenizer, model_config.vocab_size, str(checkpoint))
    builder = FeatureBuilder(tokenizer, config.task, data.labels, config.max_tokens)
    train = builder.build(data.train)
    unknown = unknown_share(train, special_tokens(tokenizer).unk)
    if unknown > _FOREIGN_SHARE:
        raise UserError(
            f"{checkpoint}: {unknown:.0%} of the tokens of train are unknown to its vocabulary; "
            "give a checkpoint of the language of the texts"
        )
    dev = Split(data.dev, builder.build(data.dev))
    metric = config.metric or primary_metric(config.task, data.labels)
    majority = majority_scores(config.task, data.labels, train, dev.examples, dev.features)
    if metric not in majority:
        raise UserError(f"metric: no {metric!r} for task {config.task}; one of {', '.join(majority)}")
    parts = RunParts(
        config=config,
        labels=data.labels,
        tokenizer=tokenizer,
        train=train,
        dev=dev,
        test=Split(data.test, builder.build(data.test) if data.test else []),
        majority=majority,
        metric=metric,
        bf16=config.precision == "bf16" or (config.precision == "auto" and native_bfloat16(default_device())),
        progress=progress,
    )
    return parts, {
        "train": len(train),
        "truncated_share": sum(row.truncated for row in train) / len(train),
        "unknown_share": unknown,
        "mean_tokens": sum(map(len, train)) / len(train),
    }


def _taught(config: FinetuneConfig, data: RunData, parts: RunParts) -> list[Feature]:
    """Train rows, and unlabelled ones, with the answers of the configured teacher."""
    builder = FeatureBuilder(parts.tokenizer, config.task, data.labels, config.max_tokens)
    extra = builder.build(data.unlabelled, labelled=False) if data.unlabelled else []
    rows = [*parts.train, *extra]
    examples = [*data.train, *data.unlabelled]
    if config.teacher == TFIDF:
        return with_teacher(rows, linear_teacher(config.task, data.train, data.unlabelled, data.labels))
    directory = Path(config.teacher or "")
    return with_teacher(rows, teacher_logits(directory, config, data.labels, examples, rows, bf16=parts.bf16))


def _distil(
    config: FinetuneConfig, data: RunData, parts: RunParts, places: Sequence[Path], work: Path
) -> SeedResult:
    """One model from the averaged answers of all seeds."""
    builder = FeatureBuilder(parts.tokenizer, config.task, data.labels, config.max_tokens)
    extra = builder.build(data.unlabelled, labelled=False) if data.unlabelled else []
    rows = [*parts.train, *extra]
    answers = averaged(config.task, [seed_logits(parts, place, rows) for place in places])
    return run_seed(parts, config.seeds[0], work, with_teacher(rows, answers))


def _vote(parts: RunParts, places: Sequence[Path]) -> dict[str, dict[str, float]]:
    figures = {}
    for name, split in (("dev", parts.dev), ("test", parts.test)):
        if split.features:
            answers = averaged(
                parts.config.task, [seed_logits(parts, place, split.features) for place in places]
            )
            figures[name] = score(parts.config.task, parts.labels, split.examples, split.features, answers)
    return figures


def _report(
    config: FinetuneConfig, data: RunData, parts: RunParts, results: Sequence[SeedResult]
) -> dict[str, Any]:
    report: dict[str, Any] = {
        "task": config.task,
        "metric": parts.metric,
        "labels": list(data.labels),
        "config": dataclasses.asdict(config),
        "data": data.files,
        "warnings": data.warnings,
        "seeds": [dataclasses.asdict(result) for result in results],
        "failed": sum(result.failed for result in results),
        "majority_dev": parts.majority,
    }
    for split in ("dev", "test"):
        figures = [getattr(result, split) for result in results]
        if figures[0]:
            report[f"{split}_mean"] = {name: _mean([row[name] for row in figures]) for name in figures[0]}
            report[f"{split}_std"] = {name: _std([row[name] for row in figures]) for name in figures[0]}
    if config.baselines:
        report["baselines"] = baseline_scores(config.task, data, parts)
    return report


def _rank(result: SeedResult, metric: str) -> float:
    value = result.dev[metric]
    return -math.inf if math.isnan(value) else value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _std(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 for one value."""
    if len(values) < 2:
        return 0.0
    mean = _mean(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
