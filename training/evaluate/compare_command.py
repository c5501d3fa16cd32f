"""``electra-train compare``: is bundle B better than bundle A?"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from training.config import from_mapping
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.evaluate.options import add_data_options, check_paths, config_of

EXAMPLES = """\
examples:
  electra-train compare models/sentiment/5 models/sentiment/6 --test test.tsv && echo publish 6
  electra-train compare models/encoder/4 models/encoder/5 --errors errors.jsonl --summaries summaries.jsonl
  electra-train compare --dry-run

Exit status: 0 when B is better in one test or more and worse in none, 1 when it is not, 2 on a mistake.
A difference counts at the 5 % level: exact McNemar for accuracy, paired bootstrap for everything else.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.description = "Say whether bundle B is better than bundle A, by paired tests on the same rows."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("a", nargs="?", type=Path, metavar="A", help="the bundle that serves now")
    parser.add_argument("b", nargs="?", type=Path, metavar="B", help="the bundle that may take its place")
    add_data_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit status.

    Raises:
        UserError: anything the user can fix.
    """
    progress = not arguments.no_progress
    if arguments.dry_run:
        return _dry_run(progress)
    if arguments.a is None or arguments.b is None:
        raise UserError("compare: two bundles are needed, A and B; see `electra-train compare --help`")
    config = config_of(arguments, "compare", arguments.b)
    check_paths(config, arguments.a, arguments.b)
    from training.evaluate.compare import compare

    result = compare(arguments.a, arguments.b, config, progress=progress)
    if arguments.json:
        print(json.dumps(result.as_json(), ensure_ascii=False, indent=2))
    else:
        for test in result.tests:
            print(
                f"{test.metric}: {test.a:.4f} -> {test.b:.4f}, difference {test.difference}, "
                f"p = {test.p:.4f} ({test.test}, n = {test.n}): {test.verdict}"
            )
        print(result.verdict)
    return 0 if result.better else 1


def _dry_run(progress: bool) -> int:
    """Compare each of two random bundles with itself."""
    from training.evaluate.compare import compare
    from training.evaluate.dry_run import write_bundles

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for bundle, values in write_bundles(directory).items():
            config = from_mapping(EvaluateConfig, values | {"resamplings": 100}, "dry run")
            path = directory / "models" / bundle / "1"
            print(compare(path, path, config, progress=progress).verdict)
    print("dry run: every step worked; nothing was kept")
    return 0
