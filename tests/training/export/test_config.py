"""Keys of an export."""

from __future__ import annotations

import pytest

from training.config import from_mapping
from training.errors import UserError
from training.export.config import ExportConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"precisions": []}, "precisions is empty"),
        ({"precisions": ["fp16"]}, "'fp16' is not allowed"),
        ({"layers": []}, "layers is empty"),
        ({"parity_texts": 0}, "at least 1"),
        ({"chekpoint": "x"}, "did you mean 'checkpoint'"),
        ({"name": "Upper"}, r"recipe\.yaml: export: name 'Upper': use lower-case letters"),
        ({"name": "情感"}, "name '情感': use lower-case letters"),
        ({"name": "-x"}, "name '-x': .* the first a letter or digit"),
        ({"name": "x" * 65}, "at most 64"),
        ({"version": "../x"}, r"version '\.\./x': use lower-case letters"),
    ],
)
def test_bad_values_are_named(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_mapping(ExportConfig, {"name": "x", "checkpoint": "y"} | values, "recipe.yaml: export")
