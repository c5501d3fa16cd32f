"""``electra-train finetune``: a checkpoint and labelled examples to a model."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import yaml

from training.checkpoint_directory import read_checkpoint_values
from training.config import from_mapping
from training.errors import UserError
from training.files import require_paths
from training.finetune.config import FinetuneConfig
from training.sections import read_section

EXAMPLES = """\
examples:
  electra-train finetune --checkpoint runs/mine/pretrain/pretrained/discriminator --train train.tsv \\
      --dev dev.tsv --test test.tsv --output runs/sentiment --seeds 0 1 2
  electra-train finetune --config sentiment.yaml --output runs/sentiment
  electra-train finetune --config sentiment.yaml --output runs/sentiment --set epochs=5 columns.label=class
  electra-train finetune --checkpoint ... --train conll.jsonl --task token_labels --output runs/names
  electra-train finetune --config detector.yaml --output runs/detector
  electra-train finetune --dry-run

sentiment.yaml holds the keys of the `finetune` section of a recipe, such as:
  checkpoint: runs/mine/pretrain/pretrained/discriminator
  train: [train.tsv, more.jsonl.xz]
  test: [test.tsv]
  label_names: {"0": negative, "1": positive}
  seeds: [0, 1, 2, 3, 4]
  distill_seeds: true
  ngrams: 3

detector.yaml teaches the replaced-token head the errors that people make, on clean text:
  checkpoint: runs/mine/pretrain/pretrained/discriminator
  task: error_detection
  corruption: {text: [news.txt.xz], generator_model: runs/mine/pretrain/pretrained/generator}

Files: TSV, CSV, JSON lines, Parquet (also .xz, .gz) or a saved Hugging Face data set. Columns are found by
header (text, text_pair, label, labels, tokens, errors) or named under `columns`.
A run that was stopped goes on from its last checkpoint: run the same command again.
"""

_LISTS = ("train", "dev", "test", "seeds")
_PLAIN = ("checkpoint", "task", "epochs", "batch_size", "learning_rate", "max_tokens", "teacher", "precision")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.description = "Fine-tune an ELECTRA checkpoint on labelled examples."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML file with the keys of FinetuneConfig"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where the model goes")
    parser.add_argument("--checkpoint", metavar="FOLDER", help="ELECTRA checkpoint in Hugging Face form")
    for split in ("train", "dev", "test"):
        parser.add_argument(f"--{split}", nargs="+", metavar="FILE", help=f"labelled files of {split}")
    parser.add_argument("--task", help="single_label, multi_label, token_labels or error_detection")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="one run per seed")
    parser.add_argument("--epochs", type=float, metavar="N")
    parser.add_argument("--batch-size", type=int, metavar="ROWS")
    parser.add_argument("--learning-rate", type=float, metavar="RATE")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    parser.add_argument("--teacher", metavar="FOLDER", help="larger fine-tuned model to learn from, or tfidf")
    parser.add_argument("--precision", help="auto, fp32 or bf16")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="any other key of the file")
    parser.add_argument("--restart", action="store_true", help="forget an earlier run of the same settings")
    parser.add_argument("--no-progress", action="store_true", help="no bars")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="every step on made-up text and a tiny random model; keeps nothing",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit status.

    Raises:
        UserError: anything the user can fix.
    """
    if arguments.dry_run:
        return _dry_run()
    if arguments.output is None:
        raise UserError("finetune: --output is missing; see `electra-train finetune --help`")
    config = _config(arguments)
    # Whatever can be told without torch is told before the seconds that its import takes.
    read_checkpoint_values(Path(config.checkpoint))
    require_paths((*config.train, *config.dev, *config.test, *config.unlabelled))
    from training.finetune.finetune import finetune

    report = finetune(config, arguments.output, progress=not arguments.no_progress, restart=arguments.restart)
    print(summary(report))
    print(f"written to {arguments.output}")
    return 0


def _config(arguments: argparse.Namespace) -> FinetuneConfig:
    values = read_section(arguments.config, "finetune") if arguments.config else {}
    for key in (*_LISTS, *_PLAIN):
        given = getattr(arguments, key)
        if given is not None:
            values[key] = given
    for item in arguments.set:
        key, equals, text = item.partition("=")
        if not equals:
            raise UserError(f"--set {item}: write KEY=VALUE, such as --set epochs=5")
        _set(values, key, text)
    return from_mapping(FinetuneConfig, values, str(arguments.config or "finetune"))


def _set(values: dict[str, Any], key: str, text: str) -> None:
    """Put a value of ``--set`` in its place: ``columns.label`` is the key ``label`` of ``columns``."""
    *parents, last = key.split(".")
    for name in parents:
        inner = values.get(name)
        if not isinstance(inner, dict | None):
            raise UserError(f"--set {key}={text}: {name!r} holds one value, not keys")
        values[name] = values = dict(inner or {})  # a copy: what was read stays as it is
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"--set {key}={text}: the value is not YAML; put it in quotation marks") from None


def summary(report: dict[str, Any]) -> str:
    """A few lines for people: mean and deviation, failed runs, baselines."""
    metric, runs = report["metric"], len(report["seeds"])
    lines = []
    for split in ("dev", "test"):
        if f"{split}_mean" not in report:
            continue
        line = f"{split} {metric} {_percent(report[f'{split}_mean'][metric])}"
        line += f" ± {_percent(report[f'{split}_std'][metric])} over {runs} seeds" if runs > 1 else ""
        for name in ("vote", "distilled"):
            if name in report:
                line += f", {name} {_percent(report[name][split][metric])}"
        if "ngrams" in report:
            figures = report["ngrams"][split]
            for kind, name in (("ngrams", "n-grams"), ("together", "together")):
                line += f", {name} {_percent(figures[kind][metric])}"
        for name, figures in report.get("baselines", {}).items():
            line += f", {name} {_percent(figures[split][metric])}"
        lines.append(line)
    rate = sum(run["tokens_per_second"] for run in report["seeds"]) / runs
    lines.append(
        f"{report['failed']} of {runs} runs failed (no better than the majority class); "
        f"{report['seconds']} s, {rate:.0f} tokens/s, {report['precision']}"
    )
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.2f}"


def _dry_run() -> int:
    from training.finetune.dry_run import dry_run

    with tempfile.TemporaryDirectory() as folder:
        for line in dry_run(Path(folder)):
            print(line)
    print("dry run finished; nothing was kept")
    return 0
