"""The verb as a user calls it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import training
from app.bundle_files import read_bundle
from training.errors import UserError
from training.export import command


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.execute(parser.parse_args(words))


def test_options_win_over_the_file(
    material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"export:\n  name: from-file\n  texts: [{material / 'text.txt'}]\n  parity_texts: 9\n  licence: mit\n"
        f"  test_data: {material / 'test.tsv'}\n"
    )
    words = [str(material / "classifier"), "--config", str(recipe), "--name", "from-option"]
    status = run(*words, "--models-dir", str(tmp_path / "models"), "--precisions", "fp32", "--no-progress")
    assert status == 0
    written = Path(capsys.readouterr().out.splitlines()[-1])
    assert written == tmp_path / "models" / "from-option" / "1"
    manifest = read_bundle(written).manifest
    assert manifest.provenance.licence == "mit"
    assert manifest.graphs["model"].files.keys() == {"fp32"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "CHECKPOINT is missing"),
        (["somewhere"], "--name is missing"),
        (["somewhere", "--name", "x"], "somewhere: no such checkpoint directory"),
        (["somewhere", "--name", "x", "--config", "absent.yaml"], r"absent\.yaml: no such file"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        run(*words)
    assert "\n" not in str(error.value)


def test_a_typo_in_a_key_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\ncheckpoint: y\nprecision: [int8]\n")
    with pytest.raises(UserError, match="unknown key 'precision'; did you mean 'precisions'"):
        run("--config", str(tmp_path / "recipe.yaml"))


def test_a_recipe_says_how_its_bundle_is_exported(tmp_path: Path) -> None:
    recipe = str(Path(training.__file__).parent / "recipes" / "tiny.yaml")
    with pytest.raises(UserError, match="nowhere: no such checkpoint directory"):
        run("nowhere", "--config", recipe, "--name", "sentiment")
    with pytest.raises(UserError, match=r"tiny\.yaml: a recipe of the bundles encoder, sentiment, category"):
        run("nowhere", "--config", recipe)


def test_a_dry_run_touches_every_step_and_keeps_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--dry-run", "--no-progress") == 0
    assert "every step worked" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    assert "electra-train export path/to/classifier --name sentiment" in capsys.readouterr().out
