"""Which files a stage reads, by its configuration: all are looked at before the first stage, and where one
changes, its stage is done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.bundle import BundleError
from app.bundle_files import read_bundle
from training.checkpoint_directory import newest_bundle, read_checkpoint_values, start_kind
from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.files import is_saved_data_set, source_files
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.export.config import ExportConfig
from training.finetune.config import FinetuneConfig
from training.finetune.scorer_config import ScorerConfig
from training.run.recipe import Recipe
from training.tables import read_table

# Key of a configuration, and a file or folder that it names.
Named = list[tuple[str, str]]
# A table that is larger (as stored) is not read before its turn.
_LARGEST_TABLE = 32 * 2**20
# Stands for the networks of a stage that has not run yet.
_UNMADE = Path("unmade")


def corpus_files(config: CorpusConfig) -> list[str]:
    """Files of all sources, and the folders of those that are data sets; a data set on the hub has none.

    Raises:
        UserError: a source without files (see ``source_files``).
    """
    return [path for source in config.sources for path in _source_files(source)]


def _source_files(source: SourceConfig) -> list[str]:
    path = source.expanded_path
    if path is None:
        return [source.dataset] if source.dataset and Path(source.dataset).is_dir() else []
    if is_saved_data_set(path):
        return [str(path)]
    return [str(file.path) for file in source_files(source)]


def finetune_files(config: FinetuneConfig) -> list[str]:
    """Tables, clean text and networks of a fine-tuning, apart from the checkpoint that it starts from."""
    return [path for _, path in _finetune_named(config)]


def _finetune_named(config: FinetuneConfig) -> Named:
    named = _named(config, "train", "dev", "test", "unlabelled")
    if config.teacher != "tfidf":
        named += _named(config, "teacher")
    if config.corruption is not None:
        made = _named(config.corruption, "text", "generator_model", "shape_sets")
        named += [(f"corruption.{key}", path) for key, path in made]
    return named


def scorer_files(config: ScorerConfig) -> list[str]:
    """Tables of a sentence scorer."""
    return [path for _, path in _scorer_named(config)]


def _scorer_named(config: ScorerConfig) -> Named:
    return _named(config, "train", "dev")


def export_files(config: ExportConfig) -> list[str]:
    """Text and tables of an export, apart from the networks that are exported.

    Raises:
        UserError: `texts` without files (see ``source_files``).
    """
    return [path for _, path in _export_named(config)]


def _export_named(config: ExportConfig) -> Named:
    return [*_texts("texts", config.texts), *_named(config, "test_data", "calibration_data")]


def evaluate_files(config: EvaluateConfig) -> list[str]:
    """Text and tables that a bundle is judged by.

    Raises:
        UserError: `heldout` or `clean` without files (see ``source_files``).
    """
    return [path for _, path in _evaluate_named(config)]


def _evaluate_named(config: EvaluateConfig) -> Named:
    tables = _named(config, "test", "train", "errors", "summaries")
    return [*tables, *_texts("heldout", config.heldout), *_texts("clean", config.clean)]


def _named(config: Any, *keys: str) -> Named:
    named: Named = []
    for key in keys:
        value = getattr(config, key)
        paths = [value] if isinstance(value, str) else list(value or ())
        named += [(key, path) for path in paths]
    return named


def _texts(key: str, paths: Sequence[str]) -> Named:
    """Files of running text that is named like a corpus source; `clean` may name tables beside it."""
    found: Named = []
    for path in paths:
        one = Path(path).is_file()
        files = [path] if one else _source_files(SourceConfig(path=path, name=key))
        found += [(key, file) for file in files]
    return found


def check_files(recipe: Recipe, stages: Sequence[str]) -> list[str]:
    """Look at every file that ``stages`` will read, before any of them starts.

    Each must be there, and the tables of a fine-tuning must be readable, with the columns that it names.
    What the run itself makes may be missing.

    Returns:
        What was not looked at, in lines.

    Raises:
        UserError: a file that is missing, or a table that cannot be used; names bundle, key and file.
    """
    unseen = []
    if recipe.start is not None:
        _check_start(recipe, Path(recipe.start).expanduser())
    if recipe.corpus is not None:
        corpus_files(recipe.corpus)
        hub = [source.dataset for source in recipe.corpus.sources if source.dataset]
        unseen += [f"corpus: {name}, of the hub" for name in hub if not Path(name).is_dir()]
    unseen += _check_exist(recipe, "tokenizer", _named(recipe.tokenizer, "path"))
    if recipe.pretrain is not None and "pretrain" in stages:
        unseen += _check_exist(recipe, "pretrain", _named(recipe.pretrain, "warm_start"))
    for bundle in recipe.bundles:
        for part, config in _parts(recipe, bundle, stages):
            where = f"bundles.{bundle}.{part}"
            unseen += _check_exist(recipe, where, _part_named(recipe, where, config))
            unseen += _check_tables(recipe, bundle, where, config)
    return unseen


def _check_start(recipe: Recipe, start: Path) -> None:
    try:
        kind = start_kind(start)
        bundle = newest_bundle(start)
        classifier = bundle is not None and bool(
            read_bundle(bundle, verify=False, in_place=False).manifest.labels
        )
    except (UserError, BundleError) as error:
        raise UserError(f"{recipe.name}: start: {error}") from None
    if kind == "checkpoint":
        names = read_checkpoint_values(start).get("architectures")
        classifier = names != ["ElectraForPreTraining"] and names != ["ElectraForTokenClassification"]
    plain = [name for name, parts in recipe.bundles.items() if parts.finetune is None]
    if classifier and plain and recipe.pretrain is None:
        raise UserError(
            f"{recipe.name}: bundles.{plain[0]}: has no `finetune`, and {start} is no encoder that could be "
            "exported as it is; give `finetune`, or start from an encoder"
        )


def _parts(recipe: Recipe, bundle: str, stages: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The configurations of the stages of ``bundle`` that are among ``stages``."""
    if f"intermediate-{bundle}" in stages:
        yield "intermediate", recipe.intermediate_config(bundle, _UNMADE)
    if f"finetune-{bundle}" in stages:
        yield "finetune", recipe.finetune_config(bundle, _UNMADE)
    if f"export-{bundle}" in stages:
        yield "export", recipe.export_config(bundle, checkpoint=str(_UNMADE))
    if f"scorer-{bundle}" in stages:
        yield "scorer", recipe.scorer_config(bundle, _UNMADE)
    if f"evaluate-{bundle}" in stages:
        yield "evaluate", recipe.evaluate_config(bundle, _UNMADE)


def _part_named(recipe: Recipe, where: str, config: Any) -> Named:
    try:
        if isinstance(config, ScorerConfig):
            return _scorer_named(config)
        if isinstance(config, EvaluateConfig):
            return _evaluate_named(config)
        # A recipe may name a network of its own instead of the one that the run makes.
        keys = ["checkpoint"] if isinstance(config, FinetuneConfig) else ["checkpoint", "generator"]
        networks = [(key, path) for key, path in _named(config, *keys) if path != str(_UNMADE)]
        return networks + (
            _finetune_named(config) if isinstance(config, FinetuneConfig) else _export_named(config)
        )
    except UserError as error:
        raise UserError(f"{recipe.name}: {where}: {error}") from None


def _check_exist(recipe: Recipe, where: str, named: Named) -> list[str]:
    unseen = []
    for key, path in named:
        if Path(path).expanduser().exists():
            continue
        if not _made_by(recipe, path):
            raise UserError(f"{recipe.name}: {where}.{key}: {path}: no such file; check the path")
        unseen.append(f"{where}.{key}: {path}, which the run makes")
    return unseen


def _check_tables(recipe: Recipe, bundle: str, where: str, config: Any) -> list[str]:
    """Read the labelled tables of a part of ``bundle``."""
    if isinstance(config, FinetuneConfig):
        named, task, drop_empty = _named(config, "train", "dev", "test"), config.task, config.drop_empty
    elif recipe.bundles[bundle].is_classifier and isinstance(config, ExportConfig | EvaluateConfig):
        named = _named(config, *(("test_data",) if isinstance(config, ExportConfig) else ("train", "test")))
        task, drop_empty = recipe.finetune_config(bundle, _UNMADE).task, True
    else:
        return []
    unseen = []
    for key, path in named:
        split = "test" if key == "test_data" else key
        if not Path(path).exists() and _made_by(recipe, path):
            continue
        if Path(path).is_dir() or Path(path).stat().st_size > _LARGEST_TABLE:
            kind = "a saved data set" if Path(path).is_dir() else "a large table"
            unseen.append(f"{where}.{key}: what is in {path}, {kind}")
            continue
        try:
            read_table(path, task, config.columns, split=split, drop_empty=drop_empty)
        except UserError as error:
            raise UserError(f"{recipe.name}: {where}.{key}: {error}") from None
    return unseen


def _made_by(recipe: Recipe, path: str) -> bool:
    """Whether ``path`` lies where the run writes."""
    places = (Path(recipe.output).absolute(), Path(recipe.models).absolute())
    return any(Path(path).absolute().is_relative_to(place) for place in places)
