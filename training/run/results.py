"""What a run says of its results, in the words of the verbs that do a stage alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from training.evaluate.report import JSON, MARKDOWN
from training.run.recipe import Recipe


def show_finetuning(directory: Path) -> None:
    """Print what `electra-train finetune` says when it is done, of the model in ``directory``."""
    # Imported here: torch and transformers need not be loaded for --help.
    from training.finetune.command import summary
    from training.finetune.earlier import REPORT_NAME

    print(summary(json.loads((directory / REPORT_NAME).read_text(encoding="utf-8"))))


def show_evaluation(directory: Path) -> None:
    """Print what `electra-train evaluate` says when it is done, of the report in ``directory``."""
    report = json.loads((directory / JSON).read_text(encoding="utf-8"))
    for line in (*report["warnings"], *report["headline"]):
        print(line)


def show_published(recipe: Recipe, published: Mapping[str, Path]) -> None:
    """Print where the bundles of a run and their reports are, and how to serve them."""
    for bundle, place in published.items():
        judged = recipe.evaluate_config(bundle, Path(recipe.output) / "reports" / bundle)
        report = f"report {judged.output}/{MARKDOWN}" if judged.has_data else "not judged"
        print(f"{bundle}: {place}, {report}")
    if published:
        print(f"serve them: electra-serve --models-dir {shlex.quote(recipe.models)}")
