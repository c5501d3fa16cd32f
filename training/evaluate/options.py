"""The options that ``evaluate`` and ``compare`` share."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.bundle import BundleError
from app.bundle_files import read_bundle
from training.config import from_mapping
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.files import require_paths
from training.sections import bundle_name, read_section


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Options that name data and how it is used."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML file with the keys of EvaluateConfig, or a recipe that has the bundle",
    )
    parser.add_argument(
        "--test", nargs="+", metavar="FILE", help="labelled tables, judged together (classifiers)"
    )
    parser.add_argument("--errors", nargs="+", metavar="FILE", help="real errors, .jsonl (encoders)")
    parser.add_argument(
        "--summaries", nargs="+", metavar="FILE", help="document and summary, .jsonl (encoders)"
    )
    parser.add_argument(
        "--label-names",
        nargs="+",
        metavar="OLD=NEW",
        help="new names for the table's labels, such as 0=negative",
    )
    parser.add_argument("--rows", type=int, metavar="N", help="test rows used at most")
    parser.add_argument("--num-sentences", type=int, metavar="N", help="sentences per summary")
    parser.add_argument("--precision", choices=("fp32", "int8"), help="default: the bundle's own")
    parser.add_argument("--threads", type=int, metavar="N", help="default: the CPU quota")
    parser.add_argument("--no-progress", action="store_true", help="no progress bars")
    parser.add_argument("--dry-run", action="store_true", help="every step on random bundles; keeps nothing")


def config_of(arguments: argparse.Namespace, verb: str, bundle: Path) -> EvaluateConfig:
    """The configuration file with the options of the command line over it.

    Of a recipe, the section of the bundle that has the name of ``bundle``.

    Raises:
        UserError: a key or value that cannot be used.
    """
    values = read_section(arguments.config, "evaluate", bundle_name(bundle)) if arguments.config else {}
    fields = EvaluateConfig.__dataclass_fields__
    chosen = {
        key: value
        for key, value in vars(arguments).items()
        if key in fields and value is not None and key != "label_names"
    }
    if arguments.label_names:
        pairs = [item.partition("=") for item in arguments.label_names]
        wrong = [old for old, equals, _ in pairs if not equals]
        if wrong:
            raise UserError(f"{verb}: --label-names {wrong[0]!r} is not OLD=NEW; write 0=negative 1=positive")
        chosen["label_names"] = {old: new for old, _, new in pairs}
    return from_mapping(EvaluateConfig, values | chosen, str(arguments.config or verb))


def check_paths(config: EvaluateConfig, *bundles: Path) -> None:
    """Refuse bundles and files that are not there, before the slow imports of an evaluation.

    Raises:
        UserError: no readable manifest, or a file that does not exist.
    """
    try:
        for bundle in bundles:
            read_bundle(bundle, verify=False)
    except BundleError as error:
        raise UserError(str(error)) from None
    require_paths(
        (
            *config.test_tables,
            *config.train,
            *config.heldout,
            *config.errors,
            *config.clean,
            *config.summaries,
        )
    )
