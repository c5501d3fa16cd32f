"""What all bundles of a recipe start from: networks that its text trains, that a bundle holds, or both, one
after the other.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.errors import UserError
from training.run.inputs import corpus_files
from training.run.recipe import Recipe, TokenizerConfig
from training.run.stages import StageLog
from training.tokenizer import load_tokenizer, save_tokenizer, tokenizer_digest, train_tokenizer


def networks(recipe: Recipe, stages: StageLog, progress: bool) -> Path:
    """Run the stages before the bundles; returns the directory with ``discriminator``, ``generator`` and
    ``pretrain.json``.
    """
    started = None
    if recipe.start is not None:
        from training.restore.start import gather

        source, started = Path(recipe.start), Path(recipe.output) / "start"
        stages.run("start", _contents(stages, recipe.start), [started], lambda: gather(source, started))
    if recipe.pretrain is None:
        assert started is not None  # a recipe has the one or the other
        return started
    return _pretrained(recipe if started is None else _going_on(recipe, started), stages, progress)


def _going_on(recipe: Recipe, started: Path) -> Recipe:
    """``recipe`` with the vocabulary, sizes and weights of the networks in ``started``, where it names no
    others.
    """
    from training.restore.sizes import model_sizes

    assert recipe.pretrain is not None
    tokenizer, pretrain = recipe.tokenizer, recipe.pretrain
    if tokenizer == TokenizerConfig():
        tokenizer = replace(tokenizer, path=str(started / "discriminator"))
    try:
        model = model_sizes(started) | pretrain.model
        pretrain = replace(pretrain, model=model, warm_start=str(started))
    except ValueError as error:
        raise UserError(f"{recipe.name}: pretrain: does not fit {recipe.start}: {error}") from None
    return replace(recipe, start=None, tokenizer=tokenizer, pretrain=pretrain)


def _pretrained(recipe: Recipe, stages: StageLog, progress: bool) -> Path:
    from training.corpus import build
    from training.pretrain.loop import pretrain

    corpus, pretraining = recipe.corpus, recipe.pretrain
    assert corpus is not None
    assert pretraining is not None
    output = Path(recipe.output)
    tokenizer_dir, shards_dir = output / "tokenizer", output / "shards"
    sources = stages.files_digest(corpus_files(corpus))
    stages.run(
        "tokenizer",
        [recipe.tokenizer, corpus, sources, *_contents(stages, recipe.tokenizer.path)],
        [tokenizer_dir],
        lambda: make_tokenizer(recipe, recipe.tokenizer, tokenizer_dir),
    )
    digest = tokenizer_digest(tokenizer_dir)
    stages.run(
        "corpus",
        [corpus, sources, digest],
        [shards_dir / "manifest.json"],
        lambda: build(corpus, tokenizer_dir / "tokenizer.json", shards_dir, progress)["parameters_digest"],
    )
    manifest = json.loads((shards_dir / "manifest.json").read_text(encoding="utf-8"))
    stages.run(
        "pretrain",
        [
            pretraining,
            digest,
            manifest["parameters_digest"],
            *_contents(stages, pretraining.warm_start),
        ],
        [output / "pretrain" / "pretrained"],
        lambda: str(pretrain(pretraining, shards_dir, tokenizer_dir, output / "pretrain", progress)),
    )
    return output / "pretrain" / "pretrained"


def _contents(stages: StageLog, path: str | None) -> list[Any]:
    """What is in a file or folder that a stage starts from, if it starts from one."""
    return [] if path is None else [stages.files_digest([path])]


def make_tokenizer(recipe: Recipe, config: TokenizerConfig, target: Path) -> str:
    """Train the tokenizer on a sample of the corpus, or take an existing one; returns its digest."""
    from training.corpus import sample_texts

    if config.path:
        tokenizer = load_tokenizer(Path(config.path))
    else:
        assert recipe.corpus is not None
        tokenizer = train_tokenizer(
            sample_texts(recipe.corpus, characters=config.characters),
            config.vocab_size,
            lowercase=config.lowercase,
            strip_accents=config.strip_accents,
        )
    save_tokenizer(tokenizer, target)
    return tokenizer_digest(target)
