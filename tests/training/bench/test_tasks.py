"""The task bench trains from both starts, goes on where it stopped, and prints what it found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from training.bench.tasks import TaskSuite, fresh_checkpoint, measure_tasks, read_suite, rehearse, table
from training.cli import main
from training.errors import UserError
from training.finetune.dry_run import reviews, tiny_checkpoint
from training.finetune.model import read_config

SUITE = Path(__file__).parents[3] / "training" / "bench" / "tasks.yaml"


def test_both_starts_and_the_linear_model_are_measured(tmp_path: Path) -> None:
    figures = rehearse(tmp_path)["reviews"]
    assert figures["pretrained"]["seeds"] == figures["fresh"]["seeds"] == 2
    assert figures["tfidf"] == 1.0
    assert 0 <= figures["fresh"]["mean"] <= 1
    text = (tmp_path / "tasks" / "tasks.md").read_text(encoding="utf-8")
    assert text.splitlines()[2].startswith("| reviews | accuracy | 64 | 2 | ")
    assert text.splitlines()[2].endswith("| 100.0 |")


def test_random_weights_share_only_shape_and_tokenizer(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "checkpoint", seed=5)
    fresh_checkpoint(checkpoint, tmp_path / "fresh")
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("checkpoint", "fresh"))
    assert {name: value.shape for name, value in ours.items()} == {n: v.shape for n, v in theirs.items()}
    matrices = [name for name, value in ours.items() if value.ndim == 2]
    assert all((ours[name] != theirs[name]).any() for name in matrices)
    same = [(tmp_path / name / "tokenizer.json").read_bytes() for name in ("checkpoint", "fresh")]
    assert same[0] == same[1]


def test_finished_tasks_are_not_trained_again(tmp_path: Path) -> None:
    first = rehearse(tmp_path)
    began = (tmp_path / "tasks" / "reviews" / "fresh" / "finetune.json").stat().st_mtime_ns
    assert rehearse(tmp_path) == first
    assert (tmp_path / "tasks" / "reviews" / "fresh" / "finetune.json").stat().st_mtime_ns == began


def test_random_weights_are_made_anew_for_another_architecture(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "one")
    fresh_checkpoint(checkpoint, tmp_path / "fresh")
    file = tmp_path / "fresh" / "model.safetensors"
    made = file.stat().st_mtime_ns
    fresh_checkpoint(checkpoint, tmp_path / "fresh")
    assert file.stat().st_mtime_ns == made
    (tmp_path / "fresh" / "tokenizer.json").write_text("{}", encoding="utf-8")  # another one's
    fresh_checkpoint(checkpoint, tmp_path / "fresh")
    assert (tmp_path / "fresh" / "tokenizer.json").read_bytes() == (
        checkpoint / "tokenizer.json"
    ).read_bytes()
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    config["num_hidden_layers"] += 1
    (checkpoint / "config.json").write_text(json.dumps(config), encoding="utf-8")
    fresh_checkpoint(checkpoint, tmp_path / "fresh")
    assert read_config(tmp_path / "fresh").num_hidden_layers == config["num_hidden_layers"]


def test_a_later_call_keeps_the_figures_of_the_same_checkpoint_only(tmp_path: Path) -> None:
    rows = "\n".join(["label\ttext", *(f"{label}\t{text}" for label, text in reviews(40, seed=1))])
    (tmp_path / "t.tsv").write_text(rows + "\n", encoding="utf-8")
    table = [str(tmp_path / "t.tsv")]
    keys = {"train": table, "dev": table, "test": table, "epochs": 0.5, "max_tokens": 16}
    suite = TaskSuite({"one": keys, "other": keys})

    def measure(checkpoint: Path, task: str) -> set[str]:
        return set(
            measure_tasks(suite, checkpoint, tmp_path / "out", only=[task], fresh=False, progress=False)
        )

    first = tiny_checkpoint(tmp_path / "first", seed=1)
    assert measure(first, "one") == {"one"}
    assert measure(first, "other") == {"one", "other"}
    assert measure(tiny_checkpoint(tmp_path / "second", seed=2), "other") == {"other"}


def test_the_shipped_suite_is_valid_and_mistakes_are_named(tmp_path: Path) -> None:
    suite = read_suite(SUITE, {"data": "/somewhere"})
    assert suite.config("tnews", Path("c")).train == ("/somewhere/cls/tnews/train.tsv",)
    assert all(suite.config(task, Path("c")).seeds == (0, 1, 2) for task in suite.tasks)
    with pytest.raises(UserError, match="--only tnevs: the suite has waimai_10k"):
        measure_tasks(suite, tmp_path, tmp_path, only=["tnevs"])
    broken = tmp_path / "suite.yaml"
    broken.write_text("tasks: {a: {train: [t.tsv]}}", encoding="utf-8")
    with pytest.raises(UserError, match=r"tasks\.a\.test: missing"):
        read_suite(broken)
    broken.write_text("tasks: {a: {train: [t.tsv], test: [t.tsv], epoch: 3}}", encoding="utf-8")
    with pytest.raises(UserError, match="did you mean 'epochs'"):
        read_suite(broken)


def test_the_verb_runs_a_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "checkpoint")
    rows = "\n".join(["label\ttext", *(f"{label}\t{text}" for label, text in reviews(60, seed=1))])
    (tmp_path / "t.tsv").write_text(rows + "\n", encoding="utf-8")
    (tmp_path / "suite.yaml").write_text(
        "variables: {data: nowhere}\n"
        "defaults: {epochs: 1, max_tokens: 32}\n"
        "tasks: {reviews: {train: ['${data}/t.tsv'], test: ['${data}/t.tsv']}}\n",
        encoding="utf-8",
    )
    arguments = ["bench", "tasks", "--suite", str(tmp_path / "suite.yaml"), "--checkpoint", str(checkpoint)]
    arguments += ["--set", f"data={tmp_path}", "--output", str(tmp_path / "out"), "--no-fresh", "--quiet"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "== reviews, pretrained" in shown
    assert "fresh" not in shown
    assert "| reviews | accuracy |" in shown
    assert main(["bench", "tasks"]) == 2
    assert "--checkpoint: missing" in capsys.readouterr().err


def test_a_task_without_a_linear_figure_has_an_empty_cell() -> None:
    found = {"metric": "f1", "mean": 0.5, "deviation": 0.01, "seeds": 3, "failed": 1, "train_rows": 1000}
    text = table({"names": {"pretrained": found, "tfidf": None}})
    assert text.splitlines()[-1] == "| names | f1 | 1,000 | 3 | 50.0 ± 1.0, 1 failed |  |  |"
