"""`electra-train run`: from text, or from weights, to bundles and reports; each stage resumable."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.errors import UserError
from training.run.checks import check_files
from training.run.everything import run_recipe
from training.run.recipe import read_recipe, stage_names
from training.run.results import show_published

EXAMPLES = """examples:
  electra-train run training/recipes/tiny.yaml
  electra-train run training/recipes/bilingual-mini.yaml --set data=/path/to/texts --until pretrain
  electra-train run training/recipes/tiny.yaml --dry-run

Stages, in order: start (where the recipe names weights), tokenizer, corpus, pretrain, then for each bundle
intermediate-NAME, finetune-NAME, export-NAME, scorer-NAME, evaluate-NAME.
A stage whose inputs did not change is not run again; a stage that was stopped goes on where it stopped.
"""
# What a dry run says beside the files that it did not look at.
_NOT_READ = "what is in the other files, apart from labelled tables; all of them are there"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `electra-train run`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("recipe", type=Path, help="YAML file, such as training/recipes/tiny.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="value for a variable of the recipe"
    )
    parser.add_argument("--until", metavar="STAGE", help="stop after this stage")
    parser.add_argument(
        "--only", action="append", metavar="BUNDLE", help="make only this bundle (repeatable)"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the recipe and its files, then every step on synthetic text",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def execute(arguments: argparse.Namespace) -> int:
    """Run a recipe; returns the exit code."""
    overrides = dict(_assignment(text) for text in arguments.set)
    recipe = read_recipe(arguments.recipe, overrides)
    unknown = set(arguments.only or []) - set(recipe.bundles)
    if unknown:
        raise UserError(f"--only {sorted(unknown)[0]}: the recipe has {', '.join(recipe.bundles)}")
    known = stage_names(recipe, arguments.only)
    if arguments.until and arguments.until not in known:
        among = f" with --only {', '.join(arguments.only)}" if arguments.only else ""
        raise UserError(f"--until {arguments.until}: no such stage{among}; choose from {', '.join(known)}")
    named = known[: known.index(arguments.until) + 1] if arguments.until else known
    unseen = check_files(recipe, named)
    if arguments.dry_run:
        from training.run.rehearsal import rehearse

        for line in (*unseen, _NOT_READ):
            print(f"not looked at: {line}")
        return rehearse(recipe)
    published = run_recipe(
        recipe, arguments.recipe, until=arguments.until, only=arguments.only, progress=not arguments.quiet
    )
    show_published(recipe, published)
    return 0


def _assignment(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UserError(f"--set {text}: write NAME=VALUE")
    return name, value
