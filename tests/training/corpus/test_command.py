from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.toy import toy_tokenizer
from training.corpus import TokenShards, command
from training.errors import UserError
from training.tokenizer import save_tokenizer


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.execute(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def text(tmp_path: Path, make_texts: object) -> Path:
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(make_texts(50)), encoding="utf-8")  # type: ignore[operator]
    return path


def test_paths_on_the_command_line(text: Path, tokenizer_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("--tokenizer", tokenizer_file, "--output", out, "--no-progress", "--workers", 1, text) == 0
    assert TokenShards(out, tokenizer_file).manifest["sources"]["mine"]["documents"] == 50


def test_a_tokenizer_of_a_vocabulary_alone(text: Path, tmp_path: Path) -> None:
    save_tokenizer(toy_tokenizer(), tmp_path / "tokenizer")
    (tmp_path / "tokenizer" / "tokenizer.json").unlink()
    needed = ("--tokenizer", tmp_path / "tokenizer", "--output", tmp_path / "out", "--no-progress")
    assert run(*needed, "--workers", 1, text) == 0
    assert (
        TokenShards(tmp_path / "out", tmp_path / "tokenizer").manifest["sources"]["mine"]["documents"] == 50
    )


@pytest.mark.parametrize("indent", ["", "  "])
def test_a_file_with_the_keys_or_a_whole_recipe(
    text: Path, tokenizer_file: Path, tmp_path: Path, indent: str
) -> None:
    config = tmp_path / "corpus.yaml"
    lines = [f"sources: [{{path: {text}, weight: 3}}]", "held_out: 0.5", "workers: 1"]
    config.write_text(
        "\n".join([*(["name: x", "corpus:"] if indent else []), *(indent + line for line in lines)])
    )
    run("--config", config, "--tokenizer", tokenizer_file, "--output", tmp_path / "out", "--held-out", 0.0)
    source = TokenShards(tmp_path / "out").manifest["sources"]["mine"]
    assert (source["weight"], source["heldout_documents"]) == (3.0, 0)  # the command line wins


def test_mistakes(text: Path, tokenizer_file: Path, tmp_path: Path) -> None:
    (tmp_path / "typo.yaml").write_text("sorces: []")
    (tmp_path / "broken.yaml").write_text("sources: [")
    (tmp_path / "list.yaml").write_text("- a")
    needed = ("--tokenizer", tokenizer_file, "--output", tmp_path / "out")
    for arguments, message in [
        ((text,), "--tokenizer is missing"),
        ((text, "--tokenizer", tokenizer_file), "--output is missing"),
        (needed, "sources: empty"),
        ((*needed, "--config", tmp_path / "no.yaml"), r"no\.yaml: no such file"),
        (
            (*needed, "--config", tmp_path / "typo.yaml"),
            r"typo\.yaml: unknown key 'sorces'; did you mean 'sources'",
        ),
        ((*needed, "--config", tmp_path / "broken.yaml"), r"broken\.yaml: not YAML"),
        ((*needed, "--config", tmp_path / "list.yaml"), r"list\.yaml: expected keys and values"),
        ((*needed, text, text), "two sources are named 'mine'"),
        ((*needed, tmp_path / "nowhere"), "nothing at"),
        ((text, "--tokenizer", tmp_path, "--output", tmp_path / "out"), r"no tokenizer\.json"),
    ]:
        with pytest.raises(UserError, match=message):
            run(*arguments)
    assert not (tmp_path / "out").exists()


def test_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--dry-run") == 0
    printed = capsys.readouterr().out
    assert "made_up" in printed
    assert "nothing was kept" in printed


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    assert "electra-train corpus --tokenizer" in capsys.readouterr().out
