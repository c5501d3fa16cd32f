"""YAML files built upon one another, and the errors of those that cannot be."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from training.corpus import command as corpus_command
from training.errors import UserError
from training.yaml_files import read_yaml


def test_a_recipe_extends_another(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "variables: {a: x}\npretrain: {preset: tiny, compile: true, phases: [{steps: 1}]}\nname: base\n"
    )
    (tmp_path / "child.yaml").write_text(
        "extends: base.yaml\nname: child\npretrain: {phases: [{steps: 2}, {steps: 3}], compile: null}\n"
    )
    assert read_yaml(tmp_path / "child.yaml") == {
        "variables": {"a": "x"},
        "name": "child",
        "pretrain": {"preset": "tiny", "phases": [{"steps": 2}, {"steps": 3}]},
    }


def test_the_file_extended_may_be_named_by_home_or_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "base.yaml").write_text("name: base\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RECIPES", str(tmp_path / "home"))
    for named in ("~/base.yaml", "${RECIPES}/base.yaml"):
        (tmp_path / "child.yaml").write_text(f"extends: '{named}'\nsize: 3\n")
        assert read_yaml(tmp_path / "child.yaml") == {"name": "base", "size": 3}


def test_what_a_recipe_extends_must_be_there_and_end(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    with pytest.raises(UserError, match=r"b\.yaml: no such file"):
        read_yaml(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(UserError, match="extends itself"):
        read_yaml(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("extends: [b.yaml]\n")
    with pytest.raises(UserError, match="extends: name one file"):
        read_yaml(tmp_path / "a.yaml")


def test_null_takes_away_and_is_nothing_in_a_new_mapping(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("a: {b: 1, c: 2}\n")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\na: {b: null}\nd: {e: null, f: 3}\n")
    assert read_yaml(tmp_path / "child.yaml") == {"a": {"c": 2}, "d": {"f": 3}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("output: a\nname: x\noutput: b\n", r"twice\.yaml, line 3: key 'output' stands already in line 1;"),
        (
            "bundles:\n  topic: {export: {a: 1}}\n  mood: {}\n  topic: {export: {a: 2}}\n",
            r"twice\.yaml, line 4: key 'topic' stands already in line 2; rename or remove one",
        ),
        ('a: [{1: x, "1": y, 1: z}]\n', r"twice\.yaml, line 1: key '1' stands already in line 1"),
    ],
)
def test_a_key_written_twice_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "twice.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_yaml(tmp_path / "twice.yaml")
    (tmp_path / "child.yaml").write_text("extends: twice.yaml\n")
    with pytest.raises(UserError, match=message):
        read_yaml(tmp_path / "child.yaml")


def test_a_merge_key_may_be_overridden(tmp_path: Path) -> None:
    # The mapping merged stands deeper than the one it is merged into, and overrides keys itself.
    (tmp_path / "a.yaml").write_text(
        "deep: {er: {base: &base {<<: {x: 0, z: 0}, x: 1}}}\ntop: {<<: *base, x: 2}\n"
    )
    assert read_yaml(tmp_path / "a.yaml") == {
        "deep": {"er": {"base": {"x": 1, "z": 0}}},
        "top": {"x": 2, "z": 0},
    }


def test_what_is_not_yaml_names_the_file_and_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\nb: ]\n")
    with pytest.raises(UserError, match=r'not YAML: .* in ".*a\.yaml", line 2'):
        read_yaml(tmp_path / "a.yaml")


def test_every_verb_reads_a_recipe_that_extends_another(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("corpus: {sources: [{path: a.txt}], held_out: 0.2}\n")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\nname: child\n")
    parser = ArgumentParser()
    corpus_command.configure(parser)
    config = corpus_command._config(parser.parse_args(["--config", str(tmp_path / "child.yaml")]))
    assert config.held_out == 0.2
