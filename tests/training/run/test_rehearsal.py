"""Rehearsals go the ways of the real run: on made-up data, with what the recipe says of everything else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from training.finetune.config import FinetuneConfig
from training.run.checks import check_files
from training.run.inputs import evaluate_files, export_files, finetune_files
from training.run.recipe import Recipe, read_recipe, stage_names
from training.run.rehearsal import rehearse

ROOT = Path(__file__).parents[3]
RECIPES = sorted((ROOT / "training" / "recipes").glob("*.yaml"))
UNMADE = Path("unmade")
# Keys of a fine-tuning that change the way through the code.
WAYS = ("ngrams", "last_layer", "overlap", "head", "task", "evaluations_per_epoch", "distill_seeds")
FINETUNE = """
name: x
output: runs/x
models: models
corpus: {sources: [{path: a.txt}]}
pretrain: {phases: [{steps: 10}], warmup_steps: 1}
bundles:
  a:
    finetune:
      {train: [x.tsv, y.tsv], distill_seeds: true, seeds: [1, 2, 3], unlabelled: [u.txt], teacher: some/model,
       class_weights: {p: 1.0}, label_names: {"0": p}, metric: macro_f1, epochs: 0.5, max_tokens: 16}
    export: {models_dir: /nowhere, layers: [11], version: "7", test_data: t.tsv}
    evaluate: {test: [a.tsv, b.tsv], output: /nowhere/report, rows: 3}
  b:
    finetune:
      task: error_detection
      train: [e.jsonl]
      corruption: {text: [t.txt], generator_model: runs/x/pretrain/pretrained/generator, copies: 5}
"""


@pytest.fixture
def rehearsed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recipe], Recipe]:
    """What a rehearsal would run, once its files are found to be there."""

    def look_at(recipe: Recipe) -> Recipe:
        seen: list[Recipe] = []

        def run_recipe(small: Recipe, path: Path, **options: bool) -> dict[str, Path]:
            check_files(small, stage_names(small))
            scratch = Path(small.output).parent
            for name in small.bundles:
                files = evaluate_files(small.evaluate_config(name, UNMADE))
                files += export_files(small.export_config(name, checkpoint="c"))
                files += [file for told in tuned(small, name) for file in finetune_files(told)]
                assert [file for file in files if not Path(file).is_relative_to(scratch)] == []
            seen.append(small)
            return {}

        monkeypatch.setattr("training.run.everything.run_recipe", run_recipe)
        assert rehearse(recipe) == 0
        return seen[0]

    return look_at


def tuned(recipe: Recipe, name: str) -> list[FinetuneConfig]:
    """The fine-tunings of bundle ``name``."""
    parts = recipe.bundles[name]
    before = [] if parts.intermediate is None else [recipe.intermediate_config(name, UNMADE)]
    return [*before, *([] if parts.finetune is None else [recipe.finetune_config(name, UNMADE)])]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_shipped_recipe_keeps_its_ways(
    path: Path, rehearsed: Callable[[Recipe], Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # one starts from a bundle that ships
    whole = read_recipe(path)
    small = rehearsed(whole)
    assert stage_names(small) == stage_names(whole)
    for name in whole.bundles:
        for real, made in zip(tuned(whole, name), tuned(small, name), strict=True):
            assert [getattr(made, key) for key in WAYS] == [getattr(real, key) for key in WAYS]
            assert (made.corruption is None) is (real.corruption is None)
            assert bool(made.dev) is bool(real.dev)
        real, made = (recipe.evaluate_config(name, UNMADE) for recipe in (whole, small))
        assert made.overlap == real.overlap
        assert len(made.test_tables) == min(2, len(real.test_tables))
        for key in ("heldout", "errors", "clean", "summaries", "train"):
            assert bool(getattr(made, key)) is bool(getattr(real, key)), key
        real, made = (recipe.export_config(name, checkpoint="c") for recipe in (whole, small))
        assert (made.precisions, made.experimental) == (real.precisions, real.experimental)
        assert bool(made.calibration_data) is bool(real.calibration_data)


def test_what_a_recipe_says_of_its_own_data_and_places_is_left_out(
    rehearsed: Callable[[Recipe], Recipe], tmp_path: Path
) -> None:
    (tmp_path / "r.yaml").write_text(FINETUNE, encoding="utf-8")
    small = rehearsed(read_recipe(tmp_path / "r.yaml"))
    (classifier,), (detector,) = tuned(small, "a"), tuned(small, "b")
    assert (classifier.seeds, classifier.distill_seeds) == ((1, 2), True)
    assert (classifier.epochs, classifier.max_tokens) == (0.5, 16)
    assert (classifier.teacher, classifier.class_weights, classifier.metric) == (None, "none", None)
    assert classifier.max_unlabelled_rows > 0
    assert set(classifier.label_names) == {"good", "bad"}
    assert len(classifier.train) == 2
    assert not classifier.dev
    export, evaluate = small.export_config("a", checkpoint="c"), small.evaluate_config("a", UNMADE)
    assert (export.models_dir, export.version, export.layers) == (small.models, "7", [1, -1])
    assert (evaluate.output, evaluate.rows, len(evaluate.test_tables)) == (str(UNMADE), 0, 2)
    assert detector.corruption is not None
    made = Path(small.output) / "pretrain" / "pretrained" / "generator"
    assert detector.corruption.generator_model == str(made)
    assert not small.is_judged("b")


@pytest.mark.timeout(300)
def test_the_recipe_of_the_bundles_that_ship_is_rehearsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = read_recipe(ROOT / "training" / "recipes" / "bilingual-small.yaml", {"data": "nowhere"})
    assert rehearse(recipe) == 0
    said, warned = capsys.readouterr()
    done = re.findall(r"^== (\S+): done in", said, re.MULTILINE)
    assert done == stage_names(recipe)
    assert "dry run: every stage passed, 4 bundle(s)" in said
    # Of three classifiers, on dev and on test.
    assert said.count("n-grams") == 6
    assert "left out of train" in warned
    assert "on reviews + more (test, 80 rows)" in said
    assert "scorer, mean against lead on the same documents" in said
    assert list(tmp_path.iterdir()) == []
