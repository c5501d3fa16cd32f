"""``electra-train export``: from a checkpoint directory to a bundle that the service loads."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from training.config import from_mapping
from training.errors import UserError
from training.export import export
from training.export.config import ExportConfig
from training.export.target import check_paths
from training.sections import read_section

EXAMPLES = """\
examples:
  # any ELECTRA classifier in Hugging Face form, trained here or not; served at once
  electra-train export path/to/classifier --name sentiment

  # with int8 compared to fp32 on the task's own test set, and only int8 kept
  electra-train export runs/mine/sentiment --name sentiment --test-data test.tsv --precisions int8

  # an encoder: replaced-token detection with suggestions, and summarization
  electra-train export runs/mine/pretrain/pretrained/discriminator \\
      --generator runs/mine/pretrain/pretrained/generator \\
      --name encoder --texts heldout.txt --calibration-data errors.jsonl

  # everything else is a key of a file, or of the export section of a recipe's bundle (here `sentiment`)
  electra-train export --config export.yaml
  electra-train export runs/mine/finetune/sentiment --config recipe.yaml --name sentiment --models-dir models
  electra-train export --dry-run

The bundle appears at models/<name>/<version> when it is complete. int8 that loses more than 0.3 points of
accuracy, or 0.01 of area under the ROC curve, is refused with the figure.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.description = "Export a Hugging Face ELECTRA checkpoint as an ONNX bundle that the service loads."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "checkpoint", nargs="?", metavar="CHECKPOINT", help="classifier or discriminator directory"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML file with the keys of ExportConfig, or a recipe that has the bundle",
    )
    parser.add_argument("--name", help="name of the bundle, also in the recipe")
    parser.add_argument(
        "--generator", metavar="DIRECTORY", help="the generator that belongs to the discriminator"
    )
    parser.add_argument("--models-dir", metavar="DIRECTORY", help="where bundles live (default: models)")
    parser.add_argument("--version", help="version directory (default: the next free number)")
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "int8"), help="what to keep on disk")
    parser.add_argument(
        "--int8", choices=("dynamic", "static", "best"), help="how int8 finds activation ranges"
    )
    parser.add_argument("--texts", nargs="+", metavar="PATH", help="real text for parity and statistics")
    parser.add_argument(
        "--test-data", metavar="FILE", help="labelled table: quality of a classifier's precisions"
    )
    parser.add_argument(
        "--calibration-data", metavar="FILE", help="real errors (.jsonl) to fit thresholds on"
    )
    parser.add_argument(
        "--layers", nargs="+", type=int, metavar="N", help="hidden layers to average, 0 to -1"
    )
    parser.add_argument("--postprocess", choices=("none", "centre", "whiten"), help="of sentence vectors")
    parser.add_argument("--licence", metavar="NAME", help="licence of the weights (SPDX)")
    parser.add_argument(
        "--allow-quality-loss",
        action="store_true",
        default=None,
        help="use int8 and bf16 even when they lose too much",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="default: the CPU quota")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.add_argument(
        "--dry-run", action="store_true", help="every step on random weights and made-up text; keeps nothing"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit status.

    Raises:
        UserError: anything the user can fix.
    """
    progress = not arguments.no_progress
    if arguments.dry_run:
        return _dry_run(progress)
    values = read_section(arguments.config, "export", arguments.name) if arguments.config else {}
    fields = ExportConfig.__dataclass_fields__
    chosen = {key: value for key, value in vars(arguments).items() if key in fields and value is not None}
    values = values | chosen
    for key, option in (("checkpoint", "CHECKPOINT"), ("name", "--name")):
        if key not in values:
            raise UserError(f"export: {option} is missing; see `electra-train export --help`")
    config = from_mapping(ExportConfig, values, str(arguments.config or "export"))
    check_paths(config)
    print(export(config, progress=progress))
    return 0


def _dry_run(progress: bool) -> int:
    """Export a random classifier and a random encoder in a temporary directory."""
    from training.export.dry_run import write_checkpoints, write_table, write_text

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_checkpoints(directory)
        write_text(directory / "text.txt")
        write_table(directory / "test.tsv")
        common = {
            "models_dir": str(directory / "models"),
            "texts": [str(directory / "text.txt")],
            "parity_texts": 50,
            "quality_rows": 100,
            # Random weights decide by chance, so int8 may differ in any decision.
            "allow_quality_loss": True,
            "licence": "apache-2.0",
        }
        classifier = {
            "name": "dry-run-classifier",
            "checkpoint": str(directory / "classifier"),
            "test_data": str(directory / "test.tsv"),
        }
        encoder = {
            "name": "dry-run-encoder",
            "checkpoint": str(directory / "discriminator"),
            "generator": str(directory / "generator"),
        }
        for own in (classifier, encoder):
            export(from_mapping(ExportConfig, common | own, "dry run"), progress=progress)
    print("dry run: every step worked; nothing was kept")
    return 0
