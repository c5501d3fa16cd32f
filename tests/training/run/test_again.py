"""Which stages of a recipe are done, and done again after a change; the stages are stood in for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.bundle import MANIFEST_NAME
from training.cli import main
from training.errors import UserError
from training.run.checks import check_files
from training.run.recipe import read_recipe, stage_names

RECIPE = """
name: x
output: {root}/runs
models: {root}/models
corpus: {{sources: [{{path: "{root}/texts/*.txt"}}]}}
pretrain: {{phases: [{{steps: 10}}], warmup_steps: 1}}
bundles:
  classes:
    intermediate: {{train: [{root}/before.tsv], dev: [{root}/dev.tsv]}}
    finetune: {{train: [{root}/train.tsv], dev: [{root}/dev.tsv], test: [{root}/test.tsv],
      teacher: {root}/teacher}}
    export: {{version: "1", replace: true, test_data: {root}/test.tsv}}
    evaluate: {{train: [{root}/train.tsv], test: {root}/test.tsv}}
  encoder:
    scorer: {{train: [{root}/summaries.jsonl], dev: [{root}/summaries.jsonl], epochs: 3}}
    export:
      {{version: "1", replace: true, texts: ["{root}/more/*.txt"], calibration_data: {root}/errors.jsonl}}
    evaluate: {{heldout: ["{root}/held/*.txt"], errors: [{root}/errors.jsonl]}}
"""
MANUAL = Path(__file__).parents[3] / "docs" / "training.md"
TABLE = "label\ttext\ngood\t很好\nbad\t难吃\n"
FINETUNED = {
    "metric": "accuracy",
    "seeds": [{"tokens_per_second": 9}],
    "test_mean": {"accuracy": 0.5},
    "failed": 1,
    "precision": "fp32",
}
JUDGED = {"warnings": ["2 rows stand in train and test"], "headline": ["Accuracy 0.5000 on test."]}
FILES = [
    *("texts/a.txt", "more/a.txt", "held/a.txt", "teacher/model.safetensors", "before.tsv"),
    *("train.tsv", "dev.tsv", "test.tsv", "summaries.jsonl", "errors.jsonl"),
]
ENCODER = ["export-encoder", "scorer-encoder", "evaluate-encoder"]
Run = Callable[[], list[str]]


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def content(name: str, text: str) -> str:
    return TABLE + f"good\t{text}\n" if name.endswith(".tsv") else text


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage only writes the files that later ones look at."""

    def build(config: Any, tokenizer: Path, shards: Path, progress: bool) -> dict[str, str]:
        manifest = {"parameters_digest": str(sorted((tmp_path / "texts").iterdir()))}
        put(shards / "manifest.json", json.dumps(manifest))
        return manifest

    def pretrain(config: Any, shards: Path, tokenizer: Path, output: Path, progress: bool) -> Path:
        record = {"corpus_digest": (shards / "manifest.json").read_text(encoding="utf-8"), "tokens_seen": 1}
        record |= {"data": ["what the start had seen"], "text": ["texts: 3 documents"]}
        put(output / "pretrained" / "generator" / "config.json", "{}")
        return put(output / "pretrained" / "pretrain.json", json.dumps(record)).parent

    def finetune(config: Any, output: Path, progress: bool) -> dict[str, str]:
        put(output / "model.safetensors", f"weights of {config.epochs} epochs")
        put(output / "config.json", json.dumps(config.label_names))
        tables = [{"path": path, "rows": 2, "sha256": "0" * 64} for path in config.train]
        report = FINETUNED | {"seconds": time.time_ns(), "data": {"train": tables}}
        report |= {"config": {"checkpoint": config.checkpoint}}
        put(output / "finetune.json", json.dumps(report))
        return {}

    def export(config: Any, progress: bool) -> Path:
        place = Path(config.models_dir) / config.name / (config.version or "1")
        told = {key: getattr(config, key) for key in ("data", "tokens_seen", "corpus_digest", "generator")}
        return put(place / MANIFEST_NAME, json.dumps(told)).parent

    def evaluate(place: Path, config: Any, progress: bool) -> None:
        put(Path(config.output) / "report.md", "report")
        put(Path(config.output) / "report.json", json.dumps(JUDGED))

    monkeypatch.setattr(
        "training.run.foundation.make_tokenizer", lambda *parts: put(parts[2] / "vocabulary", "") and ""
    )
    monkeypatch.setattr("training.run.foundation.tokenizer_digest", lambda directory: "digest")
    monkeypatch.setattr("training.corpus.build", build)
    monkeypatch.setattr("training.pretrain.loop.pretrain", pretrain)
    monkeypatch.setattr("training.finetune.finetune.finetune", finetune)
    monkeypatch.setattr("training.export.export", export)
    monkeypatch.setattr("training.finetune.scorer.train_scorer", lambda config, progress: [])
    monkeypatch.setattr("training.evaluate.evaluate", evaluate)


@pytest.fixture
def run(stand_ins: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the recipe in ``tmp_path``; gives the stages that were done."""
    for name in FILES:
        put(tmp_path / name, content(name, "before"))
    recipe = put(tmp_path / "recipe.yaml", RECIPE.format(root=tmp_path))

    def done() -> list[str]:
        assert main(["run", str(recipe), "--quiet"]) == 0
        lines = capsys.readouterr().out.splitlines()
        return [line.split()[1].rstrip(":") for line in lines if ": done in " in line]

    return done


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("texts/new.txt", ["tokenizer", "corpus", "pretrain"]),
        ("before.tsv", ["intermediate-classes"]),
        ("teacher/model.safetensors", ["finetune-classes"]),
        ("train.tsv", ["finetune-classes", "evaluate-classes"]),
        ("test.tsv", ["finetune-classes", "export-classes", "evaluate-classes"]),
        ("more/new.txt", ENCODER),
        ("errors.jsonl", ENCODER),
        ("held/new.txt", ["evaluate-encoder"]),
        ("summaries.jsonl", ["scorer-encoder", "evaluate-encoder"]),
    ],
)
def test_a_file_that_changed_or_came_is_noticed(
    run: Run, tmp_path: Path, file: str, stages: list[str]
) -> None:
    assert len(run()) == 10
    assert run() == []
    put(tmp_path / file, content(file, "after"))
    done = run()
    # Another corpus is another encoder: everything follows.
    assert done == stages or (file == "texts/new.txt" and done[:3] == stages and len(done) == 10)
    assert run() == []


@pytest.mark.parametrize(
    ("old", "new", "stages"),
    [
        ("epochs: 3", "epochs: 4", ["scorer-encoder", "evaluate-encoder"]),
        # The same networks: only that the bundle was written anew tells the later stages.
        ('replace: true, texts: ["', 'replace: true, licence: mit, texts: ["', ENCODER),
        # Other weights under the same name.
        (
            "intermediate: {",
            "intermediate: {epochs: 9, ",
            ["intermediate-classes", "finetune-classes", "export-classes", "evaluate-classes"],
        ),
        # Weights that are the same, under other names of labels.
        (
            "teacher:",
            "label_names: {bad: poor}, teacher:",
            ["finetune-classes", "export-classes", "evaluate-classes"],
        ),
    ],
)
def test_a_setting_reaches_all_that_hangs_on_it(
    run: Run, tmp_path: Path, old: str, new: str, stages: list[str]
) -> None:
    run()
    recipe = tmp_path / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8")
    assert text.count(old) == 1
    recipe.write_text(text.replace(old, new), encoding="utf-8")
    assert run() == stages
    assert run() == []


def test_weights_to_start_from_are_looked_at_first(tmp_path: Path) -> None:
    recipe = put(
        tmp_path / "recipe.yaml",
        f"name: x\noutput: {tmp_path}/runs\nmodels: {tmp_path}/models\nstart: {tmp_path}/start\n"
        "bundles: {encoder: {}}\n",
    )
    with pytest.raises(UserError, match=r"x: start: .*no such checkpoint directory; check the path"):
        check_files(read_recipe(recipe), ["start"])
    put(tmp_path / "start" / "1" / "notes.txt", "")
    with pytest.raises(UserError, match=r"x: start: .*has no config.json"):
        check_files(read_recipe(recipe), ["start"])
    put(tmp_path / "start" / "1" / MANIFEST_NAME, "{}")
    with pytest.raises(UserError, match=r"x: start: .*bundle.json: key name: Field required"):
        check_files(read_recipe(recipe), ["start"])
    shipped = MANUAL.parents[1] / "models"
    text = recipe.read_text(encoding="utf-8")
    put(recipe, text.replace(f"{tmp_path}/start", str(shipped / "encoder")))
    assert check_files(read_recipe(recipe), ["start"]) == []
    # What was trained to classify is no encoder; it may be trained further.
    put(recipe, text.replace(f"{tmp_path}/start", str(shipped / "sentiment")))
    with pytest.raises(
        UserError, match=r"bundles\.encoder: has no `finetune`, and .*sentiment is no encoder"
    ):
        check_files(read_recipe(recipe), ["start"])


def test_what_finetune_says_of_tables_holds_for_all_stages(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        put(tmp_path / f"{name}.tsv", "类别\t评论\n好\t很好\n坏\t难吃\n")
    said = "columns: {text: 评论, label: 类别}, label_names: {好: good, 坏: bad}"
    tables = f"train: [{tmp_path}/train.tsv]"
    recipe = put(
        tmp_path / "recipe.yaml",
        f"name: x\noutput: {tmp_path}/runs\nmodels: {tmp_path}/models\n"
        f"start: {MANUAL.parents[1]}/models/encoder\nbundles:\n  a:\n"
        f"    finetune: {{{tables}, dev: [{tmp_path}/dev.tsv], {said}}}\n"
        f"    export: {{test_data: {tmp_path}/test.tsv}}\n"
        f"    evaluate: {{{tables}, test: {tmp_path}/test.tsv}}\n",
    )
    known = read_recipe(recipe)
    assert known.export_config("a", checkpoint="c").columns == known.finetune_config("a", tmp_path).columns
    assert known.evaluate_config("a", tmp_path).label_names == {"好": "good", "坏": "bad"}
    assert check_files(known, stage_names(known)) == []
    # Tables of every stage are read before the first one starts.
    put(tmp_path / "test.tsv", "类别\tb\n好\t很好\n")
    with pytest.raises(UserError, match=r"bundles\.a\.export\.test_data: .*no column '评论'"):
        check_files(known, stage_names(known))


def test_a_bundle_names_what_its_start_saw_its_text_and_its_own_tables(run: Run, tmp_path: Path) -> None:
    def named(bundle: str) -> list[str]:
        manifest = json.loads((tmp_path / "models" / bundle / "1" / MANIFEST_NAME).read_text("utf-8"))
        return manifest["data"]

    run()
    assert named("encoder") == ["what the start had seen", "texts: 3 documents"]
    tables = [f"{tmp_path.name}/{name}.tsv: 2 rows, sha256 {'0' * 16}" for name in ("before", "train")]
    assert named("classes") == [*named("encoder"), *tables]
    recipe = tmp_path / "recipe.yaml"
    said = recipe.read_text("utf-8").replace("export: {version", "export: {data: [mine, CC0], version", 1)
    recipe.write_text(said, encoding="utf-8")
    run()
    assert named("classes") == ["what the start had seen", "mine", "CC0"], "the recipe's own words win"


@pytest.fixture
def encoder_of(run: Run, tmp_path: Path) -> Callable[[Path], dict[str, Any]]:
    """What the encoder's card is told when the recipe names that checkpoint for it."""
    recipe = tmp_path / "recipe.yaml"
    before = recipe.read_text("utf-8")

    def told(checkpoint: Path) -> dict[str, Any]:
        put(checkpoint / "config.json", json.dumps({"model_type": "electra"}))
        said = before.replace("replace: true, texts", f"replace: true, checkpoint: {checkpoint}, texts")
        recipe.write_text(said, encoding="utf-8")
        assert "export-encoder" in run()
        return json.loads((tmp_path / "models" / "encoder" / "1" / MANIFEST_NAME).read_text("utf-8"))

    return told


def test_a_bundle_of_a_checkpoint_of_its_own_does_not_tell_of_the_start(
    encoder_of: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    nothing = encoder_of(tmp_path / "bare" / "discriminator")
    assert (nothing["tokens_seen"], nothing["corpus_digest"], nothing["data"]) == (0, "unknown", [])
    assert nothing["generator"] is None, "the start's would bring its terms along"
    own = tmp_path / "own"
    put(own / "pretrain.json", json.dumps({"tokens_seen": 9, "corpus_digest": "mine", "text": ["mine"]}))
    put(own / "generator" / "config.json", "{}")
    told = encoder_of(own / "discriminator")
    assert (told["tokens_seen"], told["corpus_digest"], told["data"]) == (9, "mine", ["mine"])
    assert told["generator"] == str(own / "generator")
    table = {"path": "mine/train.tsv", "rows": 2, "sha256": "1" * 64}
    put(own / "discriminator" / "finetune.json", json.dumps({"data": {"train": [table]}}))
    assert encoder_of(own / "discriminator")["data"] == ["mine", f"mine/train.tsv: 2 rows, sha256 {'1' * 16}"]


def test_another_generator_beside_a_checkpoint_of_its_own_is_another_bundle(
    encoder_of: Callable[[Path], dict[str, Any]], run: Run, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    put(own / "generator" / "config.json", "{}")
    encoder_of(own / "discriminator")
    assert run() == []
    put(own / "generator" / "model.safetensors", "others")
    assert "export-encoder" in run()


def test_a_checkpoint_that_the_run_itself_makes_descends_from_the_start(
    encoder_of: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    told = encoder_of(tmp_path / "runs" / "finetune" / "classes")
    assert told["tokens_seen"] == 1
    assert told["data"][:2] == ["what the start had seen", "texts: 3 documents"]
    assert told["generator"] == str(tmp_path / "runs" / "pretrain" / "pretrained" / "generator")


def test_the_recipe_of_the_manual_runs_to_its_end(
    stand_ins: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = MANUAL.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    recipe = put(tmp_path / "recipe.yaml", printed)
    put(tmp_path / "texts" / "news" / "a.txt", "text")
    put(tmp_path / "texts" / "reviews.jsonl", '{"text": "text"}')
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        put(tmp_path / name, TABLE)
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(recipe), "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "== evaluate-encoder: left out; the recipe names nothing to judge it by (heldout, errors" in shown
    assert "== evaluate-mine: done in" in shown
    # The same as no key at all.
    recipe.write_text(printed.replace("encoder: {}", "encoder: {evaluate: null}"), encoding="utf-8")
    assert "evaluate-encoder" not in stage_names(read_recipe(recipe))
    assert main(["run", str(recipe), "--quiet", "--until", "evaluate-encoder"]) == 2


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train.tsv", None, "x: bundles.classes.finetune.train: {}: no such file"),
        (
            "train.tsv",
            "label\tcomment\ngood\t很好\n",
            "x: bundles.classes.finetune.train: {}: no text column",
        ),
        ("test.tsv", "stars\ttext\n5\t很好\n", "x: bundles.classes.finetune.test: {}: no label column"),
        ("before.tsv", "text", "x: bundles.classes.intermediate.train: {}: holds no rows"),
        ("teacher/model.safetensors", None, "x: bundles.classes.finetune.teacher: "),
        ("summaries.jsonl", None, "x: bundles.encoder.scorer.train: {}: no such file"),
        ("errors.jsonl", None, "x: bundles.encoder.export.calibration_data: {}: no such file"),
        ("held/a.txt", None, "x: bundles.encoder.evaluate: source 'heldout': nothing at "),
    ],
)
def test_files_are_looked_at_before_the_first_stage(
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str | None,
    message: str,
    flags: list[str],
) -> None:
    file = tmp_path / name
    file.unlink()
    if text is not None:
        put(file, text)
    elif name.startswith("teacher"):
        file.parent.rmdir()
    assert main(["run", str(tmp_path / "recipe.yaml"), "--quiet", *flags]) == 2
    shown = capsys.readouterr()
    assert message.format(file) in shown.err
    assert "==" not in shown.out


def test_files_of_stages_that_are_not_wanted_may_be_missing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").unlink()
    recipe = str(tmp_path / "recipe.yaml")
    assert main(["run", recipe, "--quiet", "--until", "pretrain"]) == 0
    assert main(["run", recipe, "--quiet", "--only", "encoder"]) == 0
    assert main(["run", recipe, "--quiet", "--only", "classes"]) == 2


@pytest.mark.parametrize(
    ("old", "new", "stages"),
    [
        ("    intermediate: {", "    intermediate: {checkpoint: %s, ", ["intermediate-classes"]),
        ("    finetune: {", "    finetune: {checkpoint: %s, ", ["finetune-classes"]),
        (
            '{version: "1", replace: true, texts:',
            '{generator: %s, version: "1", replace: true, texts:',
            ENCODER,
        ),
    ],
)
def test_networks_that_the_recipe_names_itself_are_noticed_when_they_change(
    run: Run, tmp_path: Path, old: str, new: str, stages: list[str]
) -> None:
    own = put(tmp_path / "own" / "model.safetensors", "before")
    put(own.with_name("config.json"), json.dumps({"model_type": "electra"}))
    recipe = tmp_path / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8")
    assert text.count(old) == 1
    recipe.write_text(text.replace(old, new % own.parent), encoding="utf-8")
    run()
    assert run() == []
    put(own, "after")
    assert run() == stages


def test_what_the_run_makes_is_not_looked_at(run: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    teacher = tmp_path / "runs" / "pretrain" / "larger"
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace(str(tmp_path / "teacher"), str(teacher)), encoding="utf-8"
    )
    known = read_recipe(recipe)
    (line,) = check_files(known, stage_names(known))
    assert line == f"bundles.classes.finetune.teacher: {teacher}, which the run makes"


def test_results_are_said_also_of_unchanged_stages(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = str(tmp_path / "recipe.yaml")
    for again in (False, True):
        assert main(["run", recipe, "--quiet"]) == 0
        lines = capsys.readouterr().out.splitlines()
        end = "unchanged" if again else "done in"
        for stage in ("intermediate-classes", "finetune-classes"):
            at = next(number for number, line in enumerate(lines) if f"== {stage}: {end}" in line)
            assert lines[at + 1] == "test accuracy 50.00"
            assert lines[at + 2].startswith("1 of 1 runs failed (no better than the majority class)")
        assert lines.count("test accuracy 50.00") == 2
        at = next(number for number, line in enumerate(lines) if f"== evaluate-classes: {end}" in line)
        assert lines[at + 1 : at + 3] == [*JUDGED["warnings"], *JUDGED["headline"]]
        assert lines[-3:] == [
            f"classes: {tmp_path}/models/classes/1, report {tmp_path}/runs/reports/classes/report.md",
            f"encoder: {tmp_path}/models/encoder/1, report {tmp_path}/runs/reports/encoder/report.md",
            f"serve them: electra-serve --models-dir {tmp_path}/models",
        ]
    assert main(["run", recipe, "--quiet", "--until", "finetune-classes"]) == 0
    assert "1 of 1 runs failed" in capsys.readouterr().out.splitlines()[-2]


def test_a_report_may_go_elsewhere(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8").replace("{heldout:", f"{{output: {tmp_path}/mine, heldout:")
    recipe.write_text(text, encoding="utf-8")
    assert "evaluate-encoder" in run()
    assert run() == []
    assert main(["run", str(recipe), "--quiet"]) == 0
    assert f"report {tmp_path}/mine/report.md" in capsys.readouterr().out
