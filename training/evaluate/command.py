"""``electra-train evaluate``: judge a bundle by what it serves."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from training.config import from_mapping
from training.errors import UserError
from training.evaluate import evaluate
from training.evaluate.config import EvaluateConfig
from training.evaluate.options import add_data_options, check_paths, config_of

EXAMPLES = """\
examples:
  # a classifier, beside majority class and TF-IDF + logistic regression fitted on the same rows
  electra-train evaluate models/sentiment/5 --test test.tsv --train train.tsv --label-names 0=bad 1=good

  # on several sets together, and on each; no baseline learns from a row of test
  electra-train evaluate models/sentiment/5 --test hotels/test.tsv films/test.tsv \\
      --train hotels/train.tsv films/train.tsv --overlap drop

  # an encoder: real errors, false alarms on clean text, corrupted held-out text, summaries
  electra-train evaluate models/encoder/4 --errors errors.jsonl --clean clean.jsonl \\
      --heldout heldout.txt --summaries summaries.jsonl

  # what the recipe says of the bundle `sentiment`; the figures also go into bundle.json and the model card
  electra-train evaluate models/sentiment/5 --config recipe.yaml --record
  electra-train evaluate --dry-run

The report (report.md, report.json, plots) goes to reports/<name>-<version>, or to --output.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.description = "Judge a bundle by what it serves, on the exported file, beside simple baselines."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="models/<name>/<version>")
    add_data_options(parser)
    parser.add_argument(
        "--train", nargs="+", metavar="FILE", help="what the classifier was trained on: baselines"
    )
    parser.add_argument(
        "--overlap",
        choices=("warn", "drop"),
        help="train rows that also stand in test: warn (default), or fit the baselines without them",
    )
    parser.add_argument("--heldout", nargs="+", metavar="PATH", help="running text to corrupt (encoders)")
    parser.add_argument("--clean", nargs="+", metavar="FILE", help="text without errors (encoders)")
    parser.add_argument(
        "--floor", type=float, metavar="ACCURACY", help="accuracy that must be passed, 0 to 1"
    )
    parser.add_argument("--output", metavar="DIRECTORY", help="where the report goes")
    parser.add_argument(
        "--record", action="store_true", default=None, help="write the figures into bundle.json and its card"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit status.

    Raises:
        UserError: anything the user can fix.
    """
    progress = not arguments.no_progress
    if arguments.dry_run:
        return _dry_run(progress)
    if arguments.bundle is None:
        raise UserError("evaluate: BUNDLE is missing; see `electra-train evaluate --help`")
    config = config_of(arguments, "evaluate", arguments.bundle)
    check_paths(config, arguments.bundle)
    report = evaluate(arguments.bundle, config, progress=progress)
    for line in (*report.warnings, *report.headline):
        print(line)
    return 0


def _dry_run(progress: bool) -> int:
    """Judge a random classifier and a random encoder in a temporary directory."""
    from training.evaluate.dry_run import write_bundles

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        data = write_bundles(directory)
        for bundle, values in data.items():
            values = values | {"output": str(directory / "report"), "resamplings": 100, "record": True}
            config = from_mapping(EvaluateConfig, values, "dry run")
            evaluate(directory / "models" / bundle / "1", config, progress=progress)
    print("dry run: every step worked; nothing was kept")
    return 0
