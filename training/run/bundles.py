"""From the networks of a recipe to one bundle: fine-tuned, exported, given a scorer, judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.bundle import MANIFEST_NAME
from training.errors import UserError
from training.evaluate.config import CLASSIFIER_KEYS, ENCODER_KEYS
from training.evaluate.report import JSON, MARKDOWN
from training.finetune.config import FinetuneConfig
from training.run.inputs import evaluate_files, export_files, finetune_files, scorer_files
from training.run.recipe import BundleRecipe, Recipe
from training.run.results import show_evaluation, show_finetuning
from training.run.stages import StageLog, digest_of


def make_bundle(
    recipe: Recipe, recipe_path: Path, name: str, start: Path, stages: StageLog, progress: bool
) -> Path:
    """Run the stages of bundle ``name`` from the networks in ``start`` (``networks``), or from a checkpoint
    that the recipe names for it; returns its directory.

    Raises:
        UserError: see the verbs; a bundle of an earlier run that is gone. LastStage: see ``StageLog.run``.
    """
    from training.restore.start import read_record

    source = _source(recipe, name, start)
    record = read_record(source)
    origin = [digest_of(record), stages.files_digest([str(start)])]
    making = _Making(recipe, name, stages, progress, origin)
    checkpoint = start / "discriminator"
    if making.parts.finetune is not None:
        checkpoint = making.fine_tune(checkpoint)
    generator = start / "generator" if source == start else source.with_name("generator")
    place = making.export(checkpoint, generator, record, recipe_path)
    if making.parts.scorer is not None:
        making.fit_scorer(place)
    if recipe.is_judged(name):
        making.judge(place)
    else:
        keys = CLASSIFIER_KEYS if making.parts.is_classifier else ENCODER_KEYS
        print(f"== evaluate-{name}: left out; the recipe names nothing to judge it by ({', '.join(keys)})")
    return place


def _source(recipe: Recipe, name: str, start: Path) -> Path:
    """The weights that bundle ``name`` descends from: a checkpoint of its own, unless this run makes that."""
    named = recipe.bundles[name].own_checkpoint
    if named is None:
        return start
    own, output = Path(named), Path(recipe.output).resolve()
    if not own.resolve().is_relative_to(output):
        return own
    # What this run makes descends from what its maker does, which came before.
    earlier = list(recipe.bundles)[: list(recipe.bundles).index(name)]
    maker = own.name.removesuffix("-intermediate")
    made_here = own.resolve().parent == output / "finetune" and maker in earlier
    return _source(recipe, maker, start) if made_here else start


@dataclass
class _Making:
    """A bundle in the making. ``origin``: digests of what has gone into it so far."""

    recipe: Recipe
    name: str
    stages: StageLog
    progress: bool
    origin: list[Any]

    @property
    def parts(self) -> BundleRecipe:
        return self.recipe.bundles[self.name]

    def fine_tune(self, start: Path) -> Path:
        """The fine-tuned model, after the intermediate task if there is one."""
        from training.finetune.earlier import REPORT_NAME

        folder = Path(self.recipe.output) / "finetune"
        if self.parts.intermediate is not None:
            before = self.recipe.intermediate_config(self.name, start)
            tuned = folder / f"{self.name}-intermediate"
            self._fine_tune(f"intermediate-{self.name}", before, start, tuned)
            self._passed([tuned / "model.safetensors"])
            start = tuned
        tuned = folder / self.name
        self._fine_tune(f"finetune-{self.name}", self.recipe.finetune_config(self.name, start), start, tuned)
        # The report is dated: the same model made again is no other one.
        self._passed([path for path in sorted(tuned.iterdir()) if path.name != REPORT_NAME])
        return tuned

    def _fine_tune(self, stage: str, config: FinetuneConfig, start: Path, target: Path) -> None:
        from training.finetune.finetune import finetune

        files = [*finetune_files(config), *_others([config.checkpoint], [start])]
        self.stages.run(
            stage,
            [config, self.stages.files_digest(files), self.origin],
            [target / "finetune.json"],
            lambda: _summary(finetune(config, target, progress=self.progress)),
            lambda: show_finetuning(target),
        )

    def _passed(self, files: list[Path]) -> None:
        self.origin = [*self.origin, self.stages.files_digest([str(file) for file in files])]

    def export(self, checkpoint: Path, generator: Path, record: dict[str, Any], recipe_path: Path) -> Path:
        """The bundle; ``record`` says what had gone into the weights before they were fine-tuned."""
        from training.export import export
        from training.export.provenance import fine_tuning_data

        known: dict[str, Any] = {
            "recipe": recipe_path.as_posix(),
            "corpus_digest": record["corpus_digest"],
            "tokens_seen": record["tokens_seen"],
            "hardware": record.get("hardware", ""),
            "checkpoint": str(checkpoint),
        }
        # Of weights that came in a bundle, its terms go on.
        known |= {"licence": record["licence"]} if "licence" in record else {}
        if not self.parts.is_classifier and generator.is_dir():
            known["generator"] = str(generator)
        config = self.recipe.export_config(self.name, **known)
        own = config.data or [*record.get("text", []), *fine_tuning_data(Path(config.checkpoint))]
        config = replace(config, data=list(dict.fromkeys([*record.get("data", []), *own])))
        # `origin` knows the networks that the recipe starts from, and none beside a checkpoint of its own.
        made = [checkpoint] if self.parts.own_checkpoint else [checkpoint, generator]
        others = _others([config.checkpoint, config.generator], made)
        version = [Path(self.recipe.models) / self.name / config.version] if config.version else []
        place: str = self.stages.run(
            f"export-{self.name}",
            [config, self.origin, *self.stages.files_digest([*export_files(config), *others])],
            version,
            lambda: str(export(config, progress=self.progress)),
        )
        if not (Path(place) / MANIFEST_NAME).is_file():
            raise UserError(
                f"{place}: the bundle of an earlier run is gone; delete "
                f"{Path(self.recipe.output) / 'stages' / f'export-{self.name}.json'}"
            )
        # What comes next writes into the bundle: one that is exported again lacks what had been put there.
        self.origin = [*self.origin, self.stages.mark(f"export-{self.name}")]
        return Path(place)

    def fit_scorer(self, place: Path) -> None:
        """Put the trained sentence scorer into the bundle."""
        from training.finetune.scorer import figures_text, train_scorer

        config = self.recipe.scorer_config(self.name, place)
        self.stages.run(
            f"scorer-{self.name}",
            [config, self.stages.files_digest(scorer_files(config)), self.origin],
            [place],
            lambda: figures_text(train_scorer(config, progress=self.progress)),
        )
        self.origin = [*self.origin, self.stages.mark(f"scorer-{self.name}")]

    def judge(self, place: Path) -> None:
        """Evaluate the bundle; its report goes into the recipe's output."""
        from training.evaluate import evaluate

        report = Path(self.recipe.output) / "reports" / self.name
        config = self.recipe.evaluate_config(self.name, report)
        report = Path(config.output or "")
        self.stages.run(
            f"evaluate-{self.name}",
            [config, str(place), self.stages.files_digest(evaluate_files(config)), self.origin],
            [report / MARKDOWN, report / JSON],
            lambda: _summary(evaluate(place, config, progress=self.progress)),
            lambda: show_evaluation(report),
        )


def _others(named: Sequence[str | None], made: Sequence[Path]) -> list[str]:
    """Networks that the recipe names instead of those that the run has made."""
    return [path for path in named if path is not None and path not in map(str, made)]


def _summary(report: Any) -> Any:
    """What a stage keeps of a report: the report itself is written by the stage."""
    return (
        report
        if isinstance(report, dict) and len(json.dumps(report, default=str)) < 20_000
        else "see its report"
    )
