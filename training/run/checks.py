"""What can be told of a recipe before its first stage: whether its files are there, its tables fit its keys
and its models, and its folders can be made.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.bundle import BundleError
from app.bundle_files import read_bundle
from training.checkpoint_directory import newest_bundle, read_checkpoint_values, start_kind
from training.electra.config import ElectraConfig
from training.errors import UserError
from training.evaluate.config import EvaluateConfig
from training.export.config import ExportConfig
from training.finetune.config import FinetuneConfig
from training.run.inputs import Named, PartConfig, corpus_files, named_by, named_files
from training.run.labelled import check_judging, check_tuning
from training.run.recipe import Recipe
from training.tables import Example

# Stands for the networks of a stage that has not run yet.
_UNMADE = Path("unmade")


def check_files(recipe: Recipe, stages: Sequence[str]) -> list[str]:
    """Look at every file that ``stages`` will read, before any of them starts.

    Each must be there; labelled tables must be readable, with the columns that are named, and fit each other,
    the keys beside them and the model. It must be possible to write where the recipe says. What the run
    itself makes may be missing.

    Returns:
        What was not looked at, in lines.

    Raises:
        UserError: a file that is missing, a table that cannot be used, a key that does not fit the tables, a
            folder that cannot be made; names bundle, key and file.
    """
    unseen = []
    for key, path in named_by(recipe, "output", "models"):
        _check_writable(f"{recipe.name}: {key}", Path(path))
    if recipe.start is not None:
        _check_start(recipe, Path(recipe.start))
    if recipe.corpus is not None:
        corpus_files(recipe.corpus)
        hub = [source.dataset for source in recipe.corpus.sources if source.dataset]
        unseen += [f"corpus: {name}, of the hub" for name in hub if not Path(name).is_dir()]
    unseen += _check_exist(recipe, "tokenizer", named_by(recipe.tokenizer, "path"))
    if recipe.pretrain is not None and "pretrain" in stages:
        unseen += _check_exist(recipe, "pretrain", named_by(recipe.pretrain, "warm_start"))
    for bundle in recipe.bundles:
        unseen += _check_bundle(recipe, bundle, stages)
    return unseen


def _check_writable(where: str, folder: Path) -> None:
    """Try to make ``folder`` and to write there, and leave nothing of it."""
    made: list[Path] = []
    try:
        for place in reversed([folder, *folder.parents]):
            if not os.path.lexists(place):
                with suppress(FileExistsError):  # another run made it just now
                    place.mkdir()
                    made.append(place)
        with tempfile.TemporaryDirectory(prefix=".electra-", dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{where}: {folder}: cannot be made or written to ({error.strerror}); name another folder"
        ) from None
    finally:
        for place in reversed(made):
            with suppress(OSError):  # another run may have begun there
                place.rmdir()


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


def _check_bundle(recipe: Recipe, bundle: str, stages: Sequence[str]) -> list[str]:
    parts, unseen = recipe.bundles[bundle], []
    origin, train = str(_UNMADE), list[Example]()
    for part, config in _parts(recipe, bundle, stages):
        where = f"bundles.{bundle}.{part}"
        unseen += _check_exist(recipe, where, _part_named(recipe, where, config))
        if isinstance(config, FinetuneConfig):
            # The intermediate task starts from a checkpoint, and this one from what came of it.
            origin = origin if config.checkpoint == str(_UNMADE) else config.checkpoint
            _check_length(recipe, where, config.max_tokens, origin)
            train, lines = check_tuning(recipe, where, config)
            unseen += lines
        elif parts.is_classifier and isinstance(config, ExportConfig | EvaluateConfig):
            # A checkpoint of its own has labels of its own.
            known = [] if "checkpoint" in parts.export else train
            task = recipe.finetune_config(bundle, _UNMADE).task
            unseen += check_judging(recipe, where, config, task, known)
        _check_places(recipe, where, config)
    return unseen


def _check_places(recipe: Recipe, where: str, config: PartConfig) -> None:
    """Try the folders that a part names itself, beside those of the recipe."""
    if isinstance(config, ExportConfig):
        named = [("models_dir", path) for path in [config.models_dir] if path != recipe.models]
    elif isinstance(config, EvaluateConfig):
        named = [("output", path) for path in [config.output] if path and path != str(_UNMADE)]
    else:
        return
    for key, path in named:
        _check_writable(f"{recipe.name}: {where}.{key}", Path(path))


def _parts(recipe: Recipe, bundle: str, stages: Sequence[str]) -> Iterator[tuple[str, PartConfig]]:
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


def _part_named(recipe: Recipe, where: str, config: PartConfig) -> Named:
    # A recipe may name a network of its own instead of the one that the run makes.
    keys = {FinetuneConfig: ["checkpoint"], ExportConfig: ["checkpoint", "generator"]}.get(type(config), [])
    networks = [(key, path) for key, path in named_by(config, *keys) if path != str(_UNMADE)]
    try:
        return networks + named_files(config)
    except UserError as error:
        raise UserError(f"{recipe.name}: {where}: {error}") from None


def _check_exist(recipe: Recipe, where: str, named: Named) -> list[str]:
    unseen = []
    for key, path in named:
        if Path(path).exists():
            continue
        if not recipe.makes(path):
            raise UserError(f"{recipe.name}: {where}.{key}: {path}: no such file; check the path")
        unseen.append(f"{where}.{key}: {path}, which the run makes")
    return unseen


def _check_length(recipe: Recipe, where: str, max_tokens: int, origin: str) -> None:
    """Refuse rows that are longer than the model reads: that of checkpoint ``origin``, or the recipe's."""
    pretrain, start = recipe.pretrain, recipe.start
    if origin != str(_UNMADE):
        if recipe.makes(origin):
            return  # in the sizes of an earlier bundle, which has its own check
        try:
            longest, model = _positions(read_checkpoint_values(Path(origin))), origin
        except UserError as error:
            raise UserError(f"{recipe.name}: {where}.checkpoint: {error}") from None
    elif pretrain is not None and (start is None or "max_position_embeddings" in pretrain.model):
        sizes = pretrain.electra_config(recipe.tokenizer.vocab_size)
        longest, model = sizes.max_position_embeddings, "pretrain.model"
    else:
        assert start is not None  # a recipe has the one or the other
        longest, model = _start_positions(Path(start)), start
    if max_tokens > longest:
        raise UserError(
            f"{recipe.name}: {where}.max_tokens: {max_tokens} is more than the {longest} positions of {model}"
            "; lower max_tokens"
        )


def _start_positions(start: Path) -> int:
    bundle = newest_bundle(start)
    if bundle is not None:
        return read_bundle(bundle, verify=False, in_place=False).manifest.max_tokens
    inner = start / "discriminator"
    return _positions(read_checkpoint_values(inner if (inner / "config.json").is_file() else start))


def _positions(values: dict[str, Any]) -> int:
    """The longest row of the model with ``values`` in its ``config.json``."""
    # What is not said there is Hugging Face's default, which is ours too.
    return int(values.get("max_position_embeddings", ElectraConfig().max_position_embeddings))
