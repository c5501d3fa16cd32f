"""All stages of a recipe, in order."""

from __future__ import annotations

from pathlib import Path

from training.files import only_one
from training.run.bundles import make_bundle
from training.run.foundation import networks
from training.run.recipe import Recipe
from training.run.stages import LastStage, StageLog


def run_recipe(
    recipe: Recipe,
    recipe_path: Path,
    *,
    until: str | None = None,
    only: list[str] | None = None,
    progress: bool = True,
) -> dict[str, Path]:
    """Run all stages, or those up to ``until``; returns the directory of every bundle published.

    Raises:
        UserError: see the verbs; another process writes into the recipe's output.
    """
    output = Path(recipe.output)
    stages = StageLog(output / "stages", until=until)
    published: dict[str, Path] = {}
    with only_one(output):
        try:
            start = networks(recipe, stages, progress)
            for bundle in only or list(recipe.bundles):
                published[bundle] = make_bundle(recipe, recipe_path, bundle, start, stages, progress)
        except LastStage:
            print(f"stopped after {until}, as asked")
    return published
