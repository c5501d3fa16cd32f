"""Sections of YAML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import UserError
from training.export.options import read_section


def test_a_section_or_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("export: {name: a}\nother: 1\n")
    assert read_section(file, "export") == {"name": "a"}
    file.write_text("name: b\n")
    assert read_section(file, "export") == {"name": "b"}
    file.write_text("")
    assert read_section(file, "export") == {}


@pytest.mark.parametrize(("text", "message"), [("- a\n", "found list"), ("a: [", "is not YAML")])
def test_what_is_no_mapping_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_section(tmp_path / "recipe.yaml", "export")
    with pytest.raises(UserError, match="no such file"):
        read_section(tmp_path / "absent.yaml", "export")
