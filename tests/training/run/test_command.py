"""The whole way, on synthetic text and on the sample: raw text in, bundles that the service loads out."""

from __future__ import annotations

import asyncio
import contextlib
import io
from pathlib import Path
from typing import Any

import pytest

from app.bundle_files import read_bundle
from app.scheduler.engine import RequestContext
from app.tasks.classify import classify
from app.tasks.local import local_model
from training.cli import main
from training.files import only_one
from training.finetune.config import FinetuneConfig
from training.finetune.finetune import finetune
from training.run.recipe import read_recipe, stage_names

ROOT = Path(__file__).parents[3]
TINY = ROOT / "training" / "recipes" / "tiny.yaml"
# The recipe with everything that takes time turned down: each stage still does its real work.
SHORTER = {
    "steps: 150": "steps: 8",
    "steps: 10,": "steps: 2,",
    "warmup_steps: 20": "warmup_steps: 2",
    "epochs: 6": "epochs: 1",
    "parity_texts: 50": "parity_texts: 5",
    "quality_rows: 400": "quality_rows: 50",
    "heldout_sentences: 60": "heldout_sentences: 10",
    "summary_documents: 10": "summary_documents: 2",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    text = TINY.read_text(encoding="utf-8")
    for long, short in SHORTER.items():
        assert long in text, long
        text = text.replace(long, short)
    text = text.replace("runs/tiny", str(root / "runs")).replace(
        "training/sample", str(ROOT / "training/sample")
    )
    (root / "recipe.yaml").write_text(text, encoding="utf-8")
    with contextlib.redirect_stderr(io.StringIO()) as shown:
        assert main(["run", str(root / "recipe.yaml"), "--quiet"]) == 0
    assert "it/s" not in shown.getvalue()
    return root


@pytest.mark.timeout(900)
def test_raw_text_becomes_bundles_that_answer(finished: Path) -> None:
    models = finished / "runs" / "models"
    assert sorted(path.name for path in models.iterdir()) == ["category", "encoder", "sentiment"]
    for path in models.glob("*/1"):
        read_bundle(path)
    model = local_model(models / "sentiment" / "1")
    (answer,) = asyncio.run(classify(model, ["我喜欢吃苹果。"], context=RequestContext()))
    assert {score.label for score in answer.scores} == {"negative", "positive"}
    for name in ("encoder", "sentiment", "category"):
        report = finished / "runs" / "reports" / name
        assert (report / "report.md").stat().st_size > 200
        assert (report / "report.json").is_file()


def test_a_second_run_does_nothing_again(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(finished / "recipe.yaml"), "--quiet"]) == 0
    shown = capsys.readouterr().out
    stages = stage_names(read_recipe(finished / "recipe.yaml"))
    for stage in stages:
        assert f"== {stage}: unchanged" in shown


def test_a_recipe_is_rehearsed_on_synthetic_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(TINY), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "not looked at: what is in the other files, apart from labelled tables" in shown
    assert "dry run: every stage passed, 3 bundle(s)" in shown


def test_a_bundle_starts_from_its_intermediate_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = {}

    def remembered(config: FinetuneConfig, output: Path, **options: Any) -> Any:
        starts[output.name] = config.checkpoint
        return finetune(config, output, **options)

    monkeypatch.setattr("training.finetune.finetune.finetune", remembered)
    text = TINY.read_text(encoding="utf-8")
    assert text.count("  sentiment:\n    finetune:\n") == 1
    text = text.replace(
        "  sentiment:\n", "  sentiment:\n    intermediate: {train: [DIRECTORY/more.tsv]}\n"
    ).replace("    finetune:\n", "    finetune:\n      teacher: tfidf\n", 1)
    rows = [f"good\t很好{number}\nbad\t难吃{number}\n" for number in range(20)]
    (tmp_path / "more.tsv").write_text("label\ttext\n" + "".join(rows), encoding="utf-8")
    (tmp_path / "r.yaml").write_text(text.replace("DIRECTORY", str(tmp_path)), encoding="utf-8")
    assert main(["run", str(tmp_path / "r.yaml"), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("== intermediate-sentiment") < shown.index("== finetune-sentiment")
    assert starts["sentiment-intermediate"].endswith("pretrained/discriminator")
    assert starts["sentiment"].endswith("finetune/sentiment-intermediate")
    assert starts["category"].endswith("pretrained/discriminator")


def test_a_second_run_into_the_same_output_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = TINY.read_text(encoding="utf-8").replace("runs/tiny", str(tmp_path / "runs"))
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    with only_one(tmp_path / "runs"):
        assert main(["run", str(tmp_path / "r.yaml"), "--quiet"]) == 2
        shown = capsys.readouterr()
        assert shown.err == (
            f"electra-train run: {tmp_path}/runs: another process is writing there; wait for it to end, or "
            "choose another output\n"
        )
        assert "==" not in shown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--until", "pretrian"], "no such stage; choose from tokenizer, corpus, pretrain"),
        (["--only", "encodr"], "the recipe has encoder, sentiment, category"),
        (
            ["--only", "encoder", "--until", "finetune-sentiment"],
            "no such stage with --only encoder; choose from tokenizer, corpus, pretrain, export-encoder",
        ),
        (["--set", "data"], "write NAME=VALUE"),
        (["--set", "data=/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = TINY.read_text(encoding="utf-8").replace("runs/tiny", str(tmp_path / "runs"))
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    assert main(["run", str(tmp_path / "r.yaml"), "--quiet", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs" / "tokenizer").exists()
