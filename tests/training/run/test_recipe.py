"""Recipes: every shipped one is valid, every mistake is found before anything starts."""

import re
from pathlib import Path

import pytest

from training.errors import UserError
from training.run.recipe import read_recipe, stage_names

RECIPES = sorted((Path(__file__).parents[3] / "training" / "recipes").glob("*.yaml"))
SMALLEST = """
name: x
output: runs/x
models: models
variables: {data: texts}
corpus: {sources: [{path: "${data}/a.txt"}]}
pretrain: {phases: [{steps: 10}], warmup_steps: 1}
bundles: {encoder: {}}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_shipped_recipes_are_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.bundles
    if recipe.start is not None and recipe.pretrain is None:
        return  # the terms of what it starts from go on
    assert recipe.pretrain.total_tokens > 0
    for bundle in recipe.bundles:
        export = recipe.export_config(bundle, checkpoint="c")
        assert export.licence, bundle  # the card would say that its maker did not state it
        assert export.languages, bundle


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_cards_of_shipped_recipes_name_every_set_and_its_licence(path: Path) -> None:
    recipe = read_recipe(path)
    for bundle, parts in recipe.bundles.items():
        if "data" not in parts.export:
            continue
        lines = recipe.export_config(bundle, checkpoint="c").data
        assert len(set(lines)) == len(lines)
        assert [line for line in lines if not re.fullmatch(r"[^:]+: [^:()]+ \([^()]+\)", line)] == []
        uses = [line.split(": ", 1)[1].split(" (")[0] for line in lines]
        # One source may be a collection of several sets.
        assert uses.count("pretraining text") >= len(recipe.corpus.sources)
        tables = [*(parts.finetune or {}).get("train", ()), *(parts.intermediate or {}).get("train", ())]
        tuned = [use for use in uses if use.startswith("fine-tuning")]
        assert len(tuned) >= len(tables)
        assert ("training of the sentence scorer" in uses) is (parts.scorer is not None)
        told = any(use.startswith("calibration") for use in uses)
        assert told is ("calibration_data" in parts.export)


def test_weights_to_start_from_may_stand_for_text(tmp_path: Path) -> None:
    text = 'corpus: {sources: [{path: "${data}/a.txt"}]}\n'
    pretrain = "pretrain: {phases: [{steps: 10}], warmup_steps: 1}\n"
    start = "start: models/encoder\n"
    rest = SMALLEST.replace(text, "").replace(pretrain, "")
    bundles = ["export-encoder"]
    made = ["tokenizer", "corpus", "pretrain"]
    for added, stages in (
        (start, ["start", *bundles]),
        (start + text + pretrain, ["start", *made, *bundles]),
        (text + pretrain, [*made, *bundles]),
    ):
        assert stage_names(read_recipe(write(tmp_path / "r.yaml", rest + added))) == stages
    for added, message in (
        ("", "nothing to start from; give `corpus` and `pretrain`, or `start`"),
        (start + text, "key 'pretrain' is missing; `corpus` and `pretrain` come together"),
        (start + pretrain, "key 'corpus' is missing"),
    ):
        with pytest.raises(UserError, match=message):
            read_recipe(write(tmp_path / "r.yaml", rest + added))


def test_a_recipe_records_what_it_judges(tmp_path: Path) -> None:
    for said, expected in (("", True), (", record: false", False)):
        bundles = f"bundles: {{encoder: {{evaluate: {{heldout: [x.txt]{said}}}}}}}"
        path = write(tmp_path / "r.yaml", SMALLEST.replace("bundles: {encoder: {}}", bundles))
        assert read_recipe(path).evaluate_config("encoder", tmp_path).record is expected


def test_variables_are_filled_and_overridden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "r.yaml", SMALLEST)
    assert read_recipe(path).corpus.sources[0].path == "texts/a.txt"
    assert read_recipe(path, {"data": "/mine"}).corpus.sources[0].path == "/mine/a.txt"
    monkeypatch.setenv("data", "/env")
    assert read_recipe(path).corpus.sources[0].path == "/env/a.txt"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "warmup_steps",
            "warmup_stepz",
            r"r\.yaml\.pretrain: unknown key 'warmup_stepz'; did you mean 'warmup_steps'",
        ),
        (
            "bundles: {encoder: {}}",
            "bundles: {encoder: {export: {precision: 1}}}",
            "did you mean 'precisions'",
        ),
        ("bundles: {encoder: {}}", "bundles: {a: {finetune: {trian: [x]}}}", "did you mean 'train'"),
        ("bundles: {encoder: {}}", "bundles: {a: {evaluate: {tset: x}}}", "did you mean 'test'"),
        (
            "bundles: {encoder: {}}",
            "bundles: {a: {evaluate: {test: x}}}",
            r"r\.yaml: bundles\.a\.evaluate: test: a is an encoder; it is judged by heldout",
        ),
        (
            "bundles: {encoder: {}}",
            "bundles: {a: {finetune: {train: [x]}, evaluate: {train: [x]}}}",
            "name a labelled table as test",
        ),
        ("${data}", "${dta}", r"\$\{dta\} has no value"),
        ("name: x", "name: [", "not YAML"),
        ("steps: 10", "steps: 0", "steps >= 1"),
        ("encoder: {}", "情感: {}", r"r\.yaml: bundles: name '情感': use lower-case letters"),
        ("encoder: {}", "a/b: {}", r"r\.yaml: bundles: name 'a/b': use lower-case letters"),
        (
            "encoder: {}",
            "a: {finetune: {train: [x], epochs: inf}}",
            r"bundles\.a\.finetune\.epochs: inf is not",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path / "r.yaml", SMALLEST.replace(old, new))
    with pytest.raises(UserError, match=message):
        read_recipe(path)


def test_missing_files_and_variables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_recipe(tmp_path / "none.yaml")
    path = write(tmp_path / "r.yaml", SMALLEST)
    with pytest.raises(UserError, match="no such variable; did you mean 'data'"):
        read_recipe(path, {"dta": "x"})


def test_figures_of_a_precision_that_is_asked_for_are_not_recorded_unasked(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: x\noutput: runs\nmodels: models\nstart: somewhere\n"
        "bundles:\n  a: {evaluate: {errors: [e.jsonl], precision: fp32}}\n"
        "  b: {evaluate: {errors: [e.jsonl]}}\n",
        encoding="utf-8",
    )
    recipe = read_recipe(tmp_path / "r.yaml")
    assert not recipe.evaluate_config("a", tmp_path).record
    assert recipe.evaluate_config("b", tmp_path).record


def test_what_makes_no_bundle_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: x\noutput: runs\nmodels: models\nstart: somewhere\n"
        "bundles: {tags: {finetune: {train: [a.jsonl], task: token_labels}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(UserError, match=r"bundles\.tags\.finetune\.task: token_labels makes no bundle"):
        read_recipe(tmp_path / "r.yaml")


def test_a_home_directory_is_filled_in_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    (tmp_path / "r.yaml").write_text(
        "name: x\noutput: ~/runs\nmodels: ~/models\nstart: ~/start\ntokenizer: {path: ~/words}\n"
        "bundles:\n  a:\n    intermediate: {train: [~/b.tsv], checkpoint: ~/own}\n"
        "    finetune: {train: [~/t.tsv], dev: [[~/d.tsv]]}\n    export: {test_data: ~/s.tsv}\n"
        "    scorer: {train: [~/t.jsonl], dev: [~/d.jsonl]}\n    evaluate: {test: ~/s.tsv}\n",
        encoding="utf-8",
    )
    recipe = read_recipe(tmp_path / "r.yaml")
    assert (recipe.output, recipe.models, recipe.start) == ("/h/runs", "/h/models", "/h/start")
    assert (recipe.tokenizer.path, recipe.bundles["a"].own_checkpoint) == ("/h/words", "/h/own")
    assert recipe.intermediate_config("a", tmp_path).train == ("/h/b.tsv",)
    tuned = recipe.finetune_config("a", tmp_path)
    assert (tuned.train, tuned.dev) == (("/h/t.tsv",), ("/h/d.tsv",))
    export = recipe.export_config("a", checkpoint="c")
    assert (export.test_data, export.models_dir) == ("/h/s.tsv", "/h/models")
    assert recipe.scorer_config("a", tmp_path).train == ["/h/t.jsonl"]
    assert recipe.evaluate_config("a", tmp_path).test == "/h/s.tsv"
