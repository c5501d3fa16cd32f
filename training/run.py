"""`electra-train run`: from text, or from weights, to bundles and reports; each stage resumable."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.bundle import MANIFEST_NAME
from training.errors import UserError
from training.evaluate.config import CLASSIFIER_KEYS, ENCODER_KEYS
from training.evaluate.report import JSON, MARKDOWN
from training.foundation import networks
from training.inputs import (
    check_files,
    evaluate_files,
    export_files,
    finetune_files,
    scorer_files,
)
from training.pretrain.hardware import hardware_name
from training.recipe import Recipe, read_recipe, stage_names
from training.results import show_evaluation, show_finetuning, show_published
from training.stages import StageLog, digest_of

EXAMPLES = """examples:
  electra-train run training/recipes/tiny.yaml
  electra-train run training/recipes/bilingual-mini.yaml --set data=/path/to/texts --until pretrain
  electra-train run training/recipes/tiny.yaml --dry-run

Stages, in order: start (where the recipe names weights), tokenizer, corpus, pretrain, then for each bundle
intermediate-NAME, finetune-NAME, export-NAME, scorer-NAME, evaluate-NAME.
A stage whose inputs did not change is not run again; a stage that was stopped goes on where it stopped.
"""
# What a dry run says beside the files that it did not look at.
_NOT_READ = "what is in the files of other stages than fine-tunings; all of them are there"


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
        from training.rehearsal import rehearse

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


class _Done(Exception):  # noqa: N818 - the stage named by --until is finished
    pass


def run_recipe(
    recipe: Recipe,
    recipe_path: Path,
    *,
    until: str | None = None,
    only: list[str] | None = None,
    progress: bool = True,
) -> dict[str, Path]:
    """Run all stages; returns the directory of every bundle published."""
    output = Path(recipe.output)
    stages = StageLog(output / "stages")
    published: dict[str, Path] = {}

    def stage(name: str, inputs: Any, outputs: list[Path], work: Any, show: Any = None) -> Any:
        result = stages.run(name, inputs, outputs, work)
        if show is not None:
            show()
        if name == until:
            raise _Done
        return result

    try:
        pretrained = networks(recipe, stages, stage, progress)
        for bundle in only or list(recipe.bundles):
            published[bundle] = _bundle(
                recipe, recipe_path, bundle, output, pretrained, stages, stage, progress
            )
    except _Done:
        print(f"stopped after {until}, as asked")
    return published


def _bundle(
    recipe: Recipe,
    recipe_path: Path,
    bundle: str,
    output: Path,
    pretrained: Path,
    stages: StageLog,
    stage: Any,
    progress: bool,
) -> Path:
    from training.evaluate import evaluate
    from training.export import export
    from training.finetune.finetune import REPORT_NAME, finetune

    record = json.loads((pretrained / "pretrain.json").read_text(encoding="utf-8"))
    origin = [digest_of(record), stages.files_digest([str(pretrained)])]
    known: dict[str, Any] = {
        "recipe": recipe_path.as_posix(),
        "corpus_digest": record["corpus_digest"],
        "tokens_seen": record["tokens_seen"],
        "hardware": record.get("hardware") or hardware_name(),
    }
    # Of weights that came in a bundle, its terms go on.
    known |= {"licence": record["licence"]} if "licence" in record else {}
    if recipe.bundles[bundle].finetune is not None:
        tuned = output / "finetune" / bundle
        start = pretrained / "discriminator"
        if recipe.bundles[bundle].intermediate is not None:
            before = recipe.intermediate_config(bundle, start)
            start = output / "finetune" / f"{bundle}-intermediate"
            stage(
                f"intermediate-{bundle}",
                [before, stages.files_digest(finetune_files(before)), origin],
                [start / "finetune.json"],
                lambda: _summary(finetune(before, start, progress=progress)),
                lambda: show_finetuning(start),
            )
            origin = [*origin, stages.files_digest([str(start / "model.safetensors")])]
        config = recipe.finetune_config(bundle, start)
        stage(
            f"finetune-{bundle}",
            [config, stages.files_digest(finetune_files(config)), origin],
            [tuned / "finetune.json"],
            lambda: _summary(finetune(config, tuned, progress=progress)),
            lambda: show_finetuning(tuned),
        )
        # The report is dated: the same model made again is no other one.
        made = [str(path) for path in sorted(tuned.iterdir()) if path.name != REPORT_NAME]
        origin = [*origin, stages.files_digest(made)]
        known |= {"checkpoint": str(tuned)}
    else:
        known |= {"checkpoint": str(pretrained / "discriminator")}
    generator = pretrained / "generator"
    if not recipe.bundles[bundle].is_classifier and generator.is_dir():
        known |= {"generator": str(generator)}
    export_config = recipe.export_config(bundle, **known)
    export_config = replace(export_config, data=[*record.get("data", []), *export_config.data])
    version_dir = Path(recipe.models) / bundle / str(export_config.version or "")
    place = stage(
        f"export-{bundle}",
        [export_config, origin, *stages.files_digest(export_files(export_config))],
        [version_dir] if export_config.version else [],
        lambda: str(export(export_config, progress=progress)),
    )
    if not (Path(place) / MANIFEST_NAME).is_file():
        raise UserError(
            f"{place}: the bundle of an earlier run is gone; delete {output / 'stages'} / "
            f"export-{bundle}.json"
        )
    # Both later stages write into the bundle: one that is exported again lacks what they had put there.
    written = [stages.mark(f"export-{bundle}")]
    if recipe.bundles[bundle].scorer is not None:
        from training.finetune.scorer import figures_text, train_scorer

        fitted = recipe.scorer_config(bundle, Path(place))
        stage(
            f"scorer-{bundle}",
            [fitted, stages.files_digest(scorer_files(fitted)), origin, *written],
            [Path(place)],
            lambda: figures_text(train_scorer(fitted, progress=progress)),
        )
        written.append(stages.mark(f"scorer-{bundle}"))
    if not recipe.is_judged(bundle):
        keys = CLASSIFIER_KEYS if recipe.bundles[bundle].is_classifier else ENCODER_KEYS
        print(f"== evaluate-{bundle}: left out; the recipe names nothing to judge it by ({', '.join(keys)})")
        return Path(place)
    judged = recipe.evaluate_config(bundle, output / "reports" / bundle)
    report = Path(judged.output or "")
    stage(
        f"evaluate-{bundle}",
        [judged, place, stages.files_digest(evaluate_files(judged)), origin, *written],
        [report / MARKDOWN, report / JSON],
        lambda: _summary(evaluate(Path(place), judged, progress=progress)),
        lambda: show_evaluation(report),
    )
    return Path(place)


def _summary(report: Any) -> Any:
    """What a stage keeps of a report: the report itself is written by the stage."""
    return (
        report
        if isinstance(report, dict) and len(json.dumps(report, default=str)) < 20_000
        else "see its report"
    )
