"""A recipe: one YAML file from raw text to published bundles, checked key by key before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.config import FilePath, from_mapping
from training.corpus.config import CorpusConfig
from training.errors import UserError
from training.evaluate.config import EvaluateConfig, check_data
from training.export.config import ExportConfig, check_name
from training.finetune.config import FinetuneConfig
from training.finetune.scorer_config import ScorerConfig
from training.pretrain.config import PretrainConfig
from training.yaml_files import read_filled


@dataclass(frozen=True)
class TokenizerConfig:
    """The vocabulary."""

    # Entries; a multiple of 64 is fastest.
    vocab_size: int = 24576
    # Characters of the corpus that it is trained on.
    characters: int = 60_000_000
    lowercase: bool = True
    strip_accents: bool = True
    # An existing tokenizer (file or directory) to use instead of training one.
    path: FilePath | None = None


@dataclass(frozen=True)
class BundleRecipe:
    """One published bundle: a classifier that is fine-tuned first, or the encoder as pretraining left it."""

    # Keys of a fine-tuning that comes before, on labelled text of a related task; its head is thrown away
    # (supplementary training: Phang et al. 2018). Empty: none.
    intermediate: dict[str, Any] | None = None
    # Keys of `finetune`; empty for the encoder bundle. `checkpoint` need not be named: it is what the recipe
    # starts from.
    finetune: dict[str, Any] | None = None
    # Keys of the trained sentence scorer (without `bundle`), for an encoder that summarizes; empty: none.
    scorer: dict[str, Any] | None = None
    # Keys of `export` (without `name`); the networks are those of this run, unless named.
    export: dict[str, Any] = field(default_factory=dict)
    # Keys of `evaluate`; where they name no data to judge the bundle by, it is not judged.
    evaluate: dict[str, Any] | None = None

    @property
    def own_checkpoint(self) -> str | None:
        """The checkpoint that it is made from instead of what the recipe starts from, where it names one."""
        for part in (self.export, self.finetune, self.intermediate):
            if part is not None and "checkpoint" in part:
                return os.path.expanduser(str(part["checkpoint"]))
        return None

    @property
    def is_classifier(self) -> bool:
        """Whether it is fine-tuned to classify; error detection leaves it an encoder."""
        return self.finetune is not None and self.finetune.get("task") != "error_detection"


@dataclass(frozen=True)
class Recipe:
    """Everything that `electra-train run` does, in order.

    A file may begin with ``extends: OTHER.yaml`` and hold only what differs from that one.
    """

    # Name of the run, in reports and on model cards.
    name: str
    # Where runs keep their state: tokenizer, shards, checkpoints, reports.
    output: FilePath
    # Where bundles are published.
    models: FilePath
    # Bundle name (see ``check_name``) -> how it is made.
    bundles: dict[str, BundleRecipe]
    # Weights to start from: a bundle (models/encoder/4), an ELECTRA checkpoint in Hugging Face form, or what
    # a pretraining left. Without `pretrain` the bundles start from it; with `pretrain`, that goes on from it,
    # in its sizes and, unless `tokenizer` says otherwise, with its vocabulary.
    start: FilePath | None = None
    # Text, and the pretraining on it: both or none.
    corpus: CorpusConfig | None = None
    pretrain: PretrainConfig | None = None
    tokenizer: TokenizerConfig = TokenizerConfig()
    # Values for `${name}` in this file; `--set name=value` and environment variables of that name replace
    # them.
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.bundles:
            check_name("bundles: name", name)
        if (self.corpus is None) != (self.pretrain is None):
            missing = "corpus" if self.corpus is None else "pretrain"
            raise ValueError(f"key {missing!r} is missing; `corpus` and `pretrain` come together")
        if self.pretrain is None and self.start is None:
            raise ValueError("nothing to start from; give `corpus` and `pretrain`, or `start`")
        if self.start is not None and self.pretrain is not None:
            for key, usual in (("warm_start", None), ("word_initialization", "normal")):
                if getattr(self.pretrain, key) != usual:
                    raise ValueError(f"pretrain.{key}: the weights are those of `start`; leave one out")

    def finetune_config(self, bundle: str, checkpoint: Path) -> FinetuneConfig:
        """The fine-tuning of ``bundle``, starting from ``checkpoint``."""
        values = {"checkpoint": str(checkpoint), **(self.bundles[bundle].finetune or {})}
        return from_mapping(FinetuneConfig, values, f"{self.name}: bundles.{bundle}.finetune")

    def intermediate_config(self, bundle: str, checkpoint: Path) -> FinetuneConfig:
        """The fine-tuning before that of ``bundle``, starting from ``checkpoint``."""
        values = {"checkpoint": str(checkpoint), **(self.bundles[bundle].intermediate or {})}
        return from_mapping(FinetuneConfig, values, f"{self.name}: bundles.{bundle}.intermediate")

    def export_config(self, bundle: str, **known: Any) -> ExportConfig:
        """The export of ``bundle``; ``known`` are the keys that the run itself fills in."""
        values = {"name": bundle, "models_dir": self.models, **self._table_keys(bundle), **known}
        values |= self.bundles[bundle].export
        return from_mapping(ExportConfig, values, f"{self.name}: bundles.{bundle}.export")

    def scorer_config(self, bundle: str, place: Path) -> ScorerConfig:
        """The sentence scorer that is fitted for ``bundle``, which stands in ``place``."""
        values = {"bundle": str(place), **(self.bundles[bundle].scorer or {})}
        return from_mapping(ScorerConfig, values, f"{self.name}: bundles.{bundle}.scorer")

    def _table_keys(self, bundle: str) -> dict[str, Any]:
        """What `finetune` says of a classifier's tables holds for those of the other stages too."""
        parts = self.bundles[bundle]
        told = parts.finetune if parts.is_classifier and parts.finetune else {}
        return {key: told[key] for key in ("columns", "label_names") if key in told}

    def makes(self, path: str) -> bool:
        """Whether ``path`` lies where the run writes."""
        places = (Path(self.output).absolute(), Path(self.models).absolute())
        return any(Path(path).absolute().is_relative_to(place) for place in places)

    def is_judged(self, bundle: str) -> bool:
        """Whether the recipe names anything to judge ``bundle`` by."""
        return self.evaluate_config(bundle, Path("report")).has_data

    def evaluate_config(self, bundle: str, output: Path) -> EvaluateConfig:
        """The evaluation of ``bundle``; its figures go into the bundle where the recipe does not refuse."""
        own = self.bundles[bundle].evaluate or {}
        # Figures of a precision that the recipe asks for need not be those of what is served.
        values = {"output": str(output), "record": "precision" not in own, **self._table_keys(bundle)} | own
        return from_mapping(EvaluateConfig, values, f"{self.name}: bundles.{bundle}.evaluate")


def read_recipe(path: Path, overrides: Mapping[str, str] | None = None) -> Recipe:
    """Read and check a recipe.

    Raises:
        UserError: missing file, not YAML, a variable without a value, any unknown, missing or ill-typed
        key, or data that a bundle cannot be judged by.
    """
    recipe = from_mapping(Recipe, read_filled(path, overrides), str(path))
    # Every part is built once here, so that a typo at the end is found before hours of work at the beginning.
    for name, bundle in recipe.bundles.items():
        if bundle.intermediate is not None:
            recipe.intermediate_config(name, Path("checkpoint"))
            if bundle.finetune is None:
                raise UserError(
                    f"{path}: bundles.{name}.intermediate: comes before `finetune`, which is missing"
                )
        if bundle.finetune is not None and recipe.finetune_config(name, Path("c")).task == "token_labels":
            raise UserError(
                f"{path}: bundles.{name}.finetune.task: token_labels makes no bundle, for nothing serves it; "
                "use electra-train finetune"
            )
        recipe.export_config(name, checkpoint="checkpoint")
        if bundle.scorer is not None:
            recipe.scorer_config(name, Path("bundle"))
        if recipe.is_judged(name):
            judged = recipe.evaluate_config(name, Path("report"))
            try:
                check_data(judged, name, classifier=bundle.is_classifier)
            except UserError as error:
                raise UserError(f"{path}: bundles.{name}.evaluate: {error}") from None
    return recipe


def stage_names(recipe: Recipe, only: list[str] | None = None) -> list[str]:
    """All stages of a recipe, or those that make the bundles named by ``only``, in order.

    A bundle that the recipe names nothing to judge by has no evaluation.
    """
    names = [] if recipe.start is None else ["start"]
    names += [] if recipe.pretrain is None else ["tokenizer", "corpus", "pretrain"]
    for bundle in only or recipe.bundles:
        parts = recipe.bundles[bundle]
        names += [f"intermediate-{bundle}"] if parts.intermediate is not None else []
        names += [f"finetune-{bundle}"] if parts.finetune is not None else []
        names += [f"export-{bundle}"]
        names += [f"scorer-{bundle}"] if parts.scorer is not None else []
        names += [f"evaluate-{bundle}"] if recipe.is_judged(bundle) else []
    return names
