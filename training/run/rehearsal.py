"""Dry runs of a recipe: every step of the real thing on synthetic text, in seconds, in a directory that
is thrown away. Weights that it starts from are real: whether they can be used is what one wants to know.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.corpus import CorpusConfig, SourceConfig
from training.finetune.config import FinetuneConfig
from training.run.recipe import BundleRecipe, Recipe, TokenizerConfig
from training.synthetic import PARTS, small_pretrain_config, synthetic_documents

_GOOD, _BAD = ("很好吃", "喜欢", "满意", "great"), ("难吃", "讨厌", "失望", "awful")
# Characters that sound alike, for errors as people make them.
_ALIKE = "，他再做一次，她在坐车。"
_SPLITS = {"train": 80, "dev": 20, "test": 40}

# What a recipe says of its own data, networks and places, which a rehearsal replaces or leaves out. Every
# other key is kept, for it may change the way through the code.
_OWN_FINETUNE = {
    *("checkpoint", "train", "dev", "test", "task", "columns", "label_names", "metric", "max_train_rows"),
    *("teacher", "unlabelled", "max_unlabelled_rows", "corruption"),
}
_OWN_EXPORT = {
    *("checkpoint", "generator", "models_dir", "texts", "test_data", "columns", "label_names"),
    *("calibration_data", "layers"),
}
_OWN_EVALUATE = {
    *("test", "train", "columns", "label_names", "rows", "floor", "heldout", "errors", "clean", "summaries"),
    "output",
}


def rehearse(recipe: Recipe) -> int:
    """Run all stages of ``recipe`` on synthetic text, with a very small model unless it starts from one;
    returns the exit code. Tables have one label a row, or errors: those of other tasks are not made up.
    """
    from training.run.everything import run_recipe

    with tempfile.TemporaryDirectory(prefix="electra-dry-run-") as scratch:
        root = Path(scratch)
        _write_inputs(root)
        small = replace(
            recipe,
            output=str(root / "runs"),
            models=str(root / "models"),
            corpus=CorpusConfig(sources=(SourceConfig(path=str(root / "text.txt")),), held_out=0.1),
            tokenizer=TokenizerConfig(vocab_size=8192, characters=100_000),
            pretrain=small_pretrain_config(),
            bundles={name: _small_bundle(recipe, name, root) for name in recipe.bundles},
        )
        if recipe.start is not None:
            small = replace(small, **_going_on(recipe))
        published = run_recipe(small, root / "recipe.yaml", progress=False)
    print(f"dry run: every stage passed, {len(published)} bundle(s) made and thrown away")
    return 0


def _going_on(recipe: Recipe) -> dict[str, Any]:
    """What a recipe with ``start`` keeps of its own: vocabulary and sizes are those of the weights."""
    if recipe.pretrain is None:
        return {"corpus": recipe.corpus, "tokenizer": recipe.tokenizer, "pretrain": None}
    phases = tuple(replace(phase, steps=2, rows=4) for phase in recipe.pretrain.phases)
    small = replace(
        small_pretrain_config(), preset=recipe.pretrain.preset, model=recipe.pretrain.model, phases=phases
    )
    return {"tokenizer": recipe.tokenizer, "pretrain": small}


def _write_inputs(root: Path) -> None:
    """Text, labelled tables in two folders, and the forms of errors and summaries."""
    from training.evaluate.dry_run import write_clean, write_errors, write_summaries

    texts = [
        text[:-1] + (_ALIKE if at % 4 == 0 else "。") for at, text in enumerate(synthetic_documents(400))
    ]
    (root / "text.txt").write_text("\n\n".join(texts), encoding="utf-8")
    draw = random.Random(1)
    shared = []
    for folder in ("reviews", "more"):
        for split, rows in _SPLITS.items():
            lines = [_review(draw, folder, split, number) for number in range(rows)]
            _write_table(root / folder / f"{split}.tsv", lines)
            shared += lines[:2] if split != "train" else []
    _write_table(root / "shared" / "train.tsv", shared)
    for at, split in enumerate(_SPLITS):
        write_errors(root / f"{split}.jsonl", texts[60 * at : 60 * (at + 1)], seed=at)
    write_clean(root / "clean.jsonl", texts[200:220])
    write_summaries(root / "summaries.jsonl", texts[:60])


def _review(draw: random.Random, folder: str, split: str, number: int) -> str:
    label, words = ("good", _GOOD) if number % 2 else ("bad", _BAD)
    # No text twice: what a recipe says of such rows is tried on the table for it.
    return f"{label}\t{draw.choice(PARTS)}{draw.choice(words)}{folder}{split}{number}。"


def _write_table(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["label\ttext", *lines]) + "\n", encoding="utf-8")


def _small_bundle(recipe: Recipe, name: str, root: Path) -> BundleRecipe:
    """The parts of bundle ``name`` on the inputs in ``root``."""
    parts, unmade = recipe.bundles[name], Path("unmade")
    before = finetune = scorer = None
    if parts.intermediate is not None:
        told = recipe.intermediate_config(name, unmade)
        before = _small_finetune(recipe, parts.intermediate, told, root)
    if parts.finetune is not None:
        finetune = _small_finetune(recipe, parts.finetune, recipe.finetune_config(name, unmade), root)
    if parts.scorer is not None:
        table = str(root / "summaries.jsonl")
        scorer = {**parts.scorer, "train": [table], "dev": [table], "epochs": 2}
    return BundleRecipe(
        intermediate=before,
        finetune=finetune,
        scorer=scorer,
        export=_small_export(parts, root),
        evaluate=_small_evaluate(recipe, name, root) if recipe.is_judged(name) else None,
    )


def _kept(values: Mapping[str, Any], own: set[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in own}


def _small_finetune(
    recipe: Recipe, values: Mapping[str, Any], config: FinetuneConfig, root: Path
) -> dict[str, Any]:
    small = _kept(values, _OWN_FINETUNE)
    small |= {
        "epochs": min(config.epochs, 1.0),
        "max_tokens": min(config.max_tokens, 32),
        "seeds": list(config.seeds[:2]),
    }
    for split in _SPLITS:
        count = len(getattr(config, split))
        if config.task == "error_detection":
            small[split] = [str(root / f"{split}.jsonl")] if count else []
        else:
            small[split] = _tables(root, split, count, shared=config.overlap == "drop")
    if config.task == "error_detection":
        small["task"] = config.task
    if isinstance(config.class_weights, dict):
        small.pop("class_weights")  # by labels that the made-up tables lack
    if config.label_names:
        small["label_names"] = {"good": "positive", "bad": "negative"}
    if config.teacher == "tfidf":
        small["teacher"] = config.teacher
    if config.unlabelled and (config.teacher == "tfidf" or config.distill_seeds):
        small |= {"unlabelled": [str(root / "text.txt")], "max_unlabelled_rows": 40}
    if config.corruption is not None:
        small["corruption"] = {
            **values["corruption"],
            "text": [str(root / "text.txt")],
            "generator_model": _moved(recipe, config.corruption.generator_model, root),
            "max_texts": 60,
            "copies": min(config.corruption.copies, 2),
        }
    return small


def _tables(root: Path, split: str, count: int, *, shared: bool) -> list[str]:
    """One made-up table of ``split`` or two, as ``count`` says; ``shared`` adds rows of dev and test to
    train.
    """
    folders = [*("reviews", "more")[:count], *(["shared"] if shared and split == "train" and count else [])]
    return [str(root / folder / f"{split}.tsv") for folder in folders]


def _moved(recipe: Recipe, path: str | None, root: Path) -> str | None:
    """``path`` where the rehearsal makes it, if it is one that the run makes."""
    if path is None:
        return None
    whole, output = Path(path).absolute(), Path(recipe.output).absolute()
    return str(root / "runs" / whole.relative_to(output)) if whole.is_relative_to(output) else path


def _small_export(parts: BundleRecipe, root: Path) -> dict[str, Any]:
    small = _kept(parts.export, _OWN_EXPORT)
    if "test_data" in parts.export:
        small["test_data"] = str(root / "reviews" / "test.tsv")
    if "calibration_data" in parts.export:
        small["calibration_data"] = str(root / "train.jsonl")
    return small | {
        "parity_texts": 8,
        "quality_rows": 64,
        "texts": [str(root / "text.txt")],
        "allow_quality_loss": True,
    }


def _small_evaluate(recipe: Recipe, name: str, root: Path) -> dict[str, Any]:
    parts, config = recipe.bundles[name], recipe.evaluate_config(name, Path("report"))
    small = _kept(parts.evaluate or {}, _OWN_EVALUATE)
    small |= {"resamplings": 100, "latency_texts": 4}
    if parts.is_classifier:
        train = _tables(root, "train", len(config.train), shared=config.overlap == "drop")
        return small | {"test": _tables(root, "test", len(config.test_tables), shared=False), "train": train}
    small |= {"heldout_sentences": 20, "error_rows": 20, "summary_documents": 4}
    for key, file in (
        ("heldout", "text.txt"),
        ("errors", "test.jsonl"),
        ("clean", "clean.jsonl"),
        ("summaries", "summaries.jsonl"),
    ):
        if getattr(config, key):
            small[key] = [str(root / file)]
    return small
