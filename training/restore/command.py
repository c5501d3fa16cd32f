"""``electra-train restore``: from a bundle to checkpoint directories that can be trained on."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from training.errors import UserError

EXAMPLES = """\
examples:
  # the encoder that ships, as a start for a classifier of your own: no download, no GPU
  electra-train restore models/encoder --output runs/encoder
  electra-train finetune --checkpoint runs/encoder/discriminator --train train.tsv --output runs/mine

  # further pretraining on a domain's text: in the configuration of `pretrain`
  #   warm_start: runs/encoder

  # the network of a classifier, for a related task
  electra-train restore models/sentiment --output runs/sentiment

An encoder gives `discriminator` and `generator`, a classifier `classifier`, without its n-grams. Weights that
the bundle holds as int8 come back rounded as they are served. In a recipe, `start: models/encoder` does
all this.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.description = "Write the networks of a bundle as Hugging Face checkpoints, to train on them."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="models/NAME/VERSION, or models/NAME for the newest"
    )
    parser.add_argument("--output", type=Path, metavar="DIRECTORY", help="where they go")
    parser.add_argument("--dry-run", action="store_true", help="restore and compare; keeps nothing")


def execute(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit status.

    Raises:
        UserError: anything the user can fix.
    """
    if arguments.output is None and not arguments.dry_run:
        raise UserError("--output is missing; see electra-train restore --help")
    from training.restore.checkpoint import restore

    if arguments.dry_run:
        with tempfile.TemporaryDirectory() as scratch:
            names = [path.name for path in restore(arguments.bundle, Path(scratch) / "restored")]
        print(f"dry run: {' and '.join(names)} restored, compared with the bundle and thrown away")
        return 0
    for directory in restore(arguments.bundle, arguments.output):
        print(directory)
    return 0
