"""Dry runs of a recipe: every step of the real thing on synthetic text, in seconds, in a directory that
is thrown away. Weights that it starts from are real: whether they can be used is what one wants to know.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.corpus import CorpusConfig, SourceConfig
from training.run.recipe import BundleRecipe, Recipe, TokenizerConfig
from training.synthetic import PARTS, small_pretrain_config, synthetic_documents

_GOOD, _BAD = ("很好吃", "喜欢", "满意", "great"), ("难吃", "讨厌", "失望", "awful")


def rehearse(recipe: Recipe) -> int:
    """Run all stages of ``recipe`` on synthetic text, with a very small model unless it starts from one;
    returns the exit code.
    """
    from training.run.everything import run_recipe

    with tempfile.TemporaryDirectory(prefix="electra-dry-run-") as scratch:
        root = Path(scratch)
        _write_inputs(root)
        bundles = {name: _small_bundle(root, parts) for name, parts in recipe.bundles.items()}
        small = replace(
            recipe,
            output=str(root / "runs"),
            models=str(root / "models"),
            corpus=CorpusConfig(sources=(SourceConfig(path=str(root / "text.txt")),), held_out=0.1),
            tokenizer=TokenizerConfig(vocab_size=8192, characters=100_000),
            pretrain=small_pretrain_config(),
            bundles=bundles,
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
    (root / "text.txt").write_text("\n\n".join(synthetic_documents(400)), encoding="utf-8")
    draw = random.Random(1)
    for split, rows in (("train", 80), ("dev", 20), ("test", 40)):
        lines = ["label\ttext"]
        for number in range(rows):
            words = _GOOD if number % 2 else _BAD
            lines.append(
                f"{'good' if number % 2 else 'bad'}\t{draw.choice(PARTS)}{draw.choice(words)}{number}。"
            )
        (root / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _small_bundle(root: Path, parts: BundleRecipe) -> BundleRecipe:
    export = {
        "parity_texts": 8,
        "quality_rows": 64,
        "texts": [str(root / "text.txt")],
        "allow_quality_loss": True,
    }
    if parts.finetune is None or parts.finetune.get("task") == "error_detection":
        # The encoder as pretraining left it; what a recipe adds is rehearsed by that verb's own dry run.
        judged = {"heldout": [str(root / "text.txt")], "heldout_sentences": 20, "resamplings": 100}
        return BundleRecipe(export=export, evaluate=judged)
    tables = {split: [str(root / f"{split}.tsv")] for split in ("train", "dev", "test")}
    test = str(root / "test.tsv")
    before = {"train": tables["train"], "dev": tables["dev"], "epochs": 1.0, "max_tokens": 32}
    taught = {"teacher": "tfidf"} if parts.finetune.get("teacher") == "tfidf" else {}
    return BundleRecipe(
        intermediate=before if parts.intermediate is not None else None,
        finetune={**taught, **tables, "epochs": 1.0, "max_tokens": 32, "baselines": False},
        export=export | {"test_data": test},
        evaluate={"test": test, "train": tables["train"], "resamplings": 100, "latency_texts": 4},
    )
