"""``electra-train scorer``: a trained sentence scorer for the summaries of an encoder bundle."""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

from training.config import from_mapping
from training.finetune.scorer_config import ScorerConfig
from training.sections import bundle_name, read_section

EXAMPLES = """\
examples:
  electra-train scorer --bundle models/encoder/4 --train sum/train.jsonl.xz --dev sum/dev.jsonl
  electra-train scorer --config scorer.yaml --bundle models/encoder/4 --make-default
  electra-train scorer --dry-run

scorer.yaml holds the keys of ScorerConfig (or is the recipe of the bundle), such as:
  train: [news/train.jsonl.xz, abstracts/train.jsonl]
  dev: [news/dev.jsonl, abstracts/dev.jsonl]
  hidden: 64

Tables have the columns document and summary. The scorer is fitted in minutes and starts anew when it is
stopped; until it is complete the bundle stays as it was.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.description = "Fit a sentence scorer on summaries and put it into an encoder bundle."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML file with the keys of ScorerConfig, or a recipe that has the bundle",
    )
    parser.add_argument("--bundle", metavar="FOLDER", help="the encode bundle that gets the scorer")
    parser.add_argument("--train", nargs="+", metavar="FILE", help="documents with summaries")
    parser.add_argument("--dev", nargs="+", metavar="FILE", help="the same, to stop by and to report")
    parser.add_argument("--seed", type=int, help="of weights, order and dropout")
    parser.add_argument(
        "--make-default", action="store_true", default=None, help="use it when a request names no method"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="every step on made-up text with a random encoder; keeps nothing",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit code."""
    from training.finetune.scorer import figures_text, train_scorer

    progress = not arguments.quiet
    if arguments.dry_run:
        with tempfile.TemporaryDirectory() as directory:
            print(figures_text(train_scorer(_rehearsal(Path(directory)), progress=progress)))
        print("dry run: every step works")
        return 0
    values = {}
    if arguments.config is not None:
        name = bundle_name(Path(arguments.bundle)) if arguments.bundle else None
        values = read_section(arguments.config, "scorer", name)
    for name in ("bundle", "train", "dev", "seed", "make_default"):
        if getattr(arguments, name) is not None:
            values[name] = getattr(arguments, name)
    config = from_mapping(ScorerConfig, values, str(arguments.config or "command line"))
    print(figures_text(train_scorer(config, progress=progress)))
    print(f"{config.bundle}: the scorer is installed")
    return 0


def _rehearsal(directory: Path) -> ScorerConfig:
    """A random encoder bundle, documents made up, and a config that fits both in seconds."""
    from training.evaluate.dry_run import write_summaries
    from training.export import export
    from training.export.config import ExportConfig
    from training.export.dry_run import write_checkpoints, write_text
    from training.export.texts import read_documents, sentences_of

    write_checkpoints(directory)
    text = directory / "text.txt"
    write_text(text)
    export(
        ExportConfig(
            name="encoder",
            checkpoint=str(directory / "discriminator"),
            generator=str(directory / "generator"),
            models_dir=str(directory / "models"),
            texts=[str(text)],
            parity_texts=10,
            quality_rows=20,
            allow_quality_loss=True,
        ),
        progress=False,
    )
    sentences = sentences_of(read_documents([str(text)]))
    write_summaries(directory / "train.jsonl", sentences[:180])
    write_summaries(directory / "dev.jsonl", sentences[180:])
    config = ScorerConfig(
        bundle=str(directory / "models" / "encoder" / "1"),
        train=[str(directory / "train.jsonl")],
        dev=[str(directory / "dev.jsonl")],
    )
    return dataclasses.replace(config, epochs=3)
