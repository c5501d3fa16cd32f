"""Sections of YAML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import UserError
from training.sections import bundle_name, read_section


def test_a_section_or_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("export: {name: a}\nother: 1\n")
    assert read_section(file, "export") == {"name": "a"}
    file.write_text("name: b\n")
    assert read_section(file, "export") == {"name": "b"}
    file.write_text("export:\n")
    assert read_section(file, "export") == {}


def test_the_section_of_a_bundle_of_a_recipe(tmp_path: Path) -> None:
    base, file = tmp_path / "base.yaml", tmp_path / "recipe.yaml"
    base.write_text(
        "name: x\nvariables: {data: d}\nbundles: {a: {export: {texts: ['${data}/t']}}, b: null}\n"
    )
    file.write_text("extends: base.yaml\nvariables: {data: e}\n")
    assert read_section(file, "export", "a") == {"texts": ["e/t"]}
    assert read_section(file, "evaluate", "a") == read_section(base, "export", "b") == {}
    with pytest.raises(
        UserError, match=r"a, b, and none of them is named; put the keys of bundles\.NAME\.export"
    ):
        read_section(file, "export")
    with pytest.raises(UserError, match="'c' is none of them"):
        read_section(base, "export", "c")


def test_variables_work_without_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("variables: {data: d}\ntest: ${data}/t.tsv\n")
    assert read_section(tmp_path / "a.yaml", "evaluate") == {"test": "d/t.tsv"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("- a\n", "expected keys and values"), ("a: [", "not YAML"), ("export: [a]", "export: .* found list")],
)
def test_what_is_no_mapping_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_section(tmp_path / "recipe.yaml", "export")
    with pytest.raises(UserError, match="no such file"):
        read_section(tmp_path / "absent.yaml", "export")


def test_a_bundle_is_known_by_the_folder_of_its_versions() -> None:
    assert bundle_name(Path("models/sentiment/1")) == "sentiment"
