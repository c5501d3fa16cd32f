"""docs/operations.md says what the code says: every setting, every metric."""

from __future__ import annotations

import re
import typing
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from pydantic.fields import FieldInfo

from app.settings import Settings, variable
from app.telemetry import Metrics

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def type_words(field: FieldInfo) -> str:
    """The type of a setting in a word or two."""
    annotation = field.annotation
    optional = type(None) in typing.get_args(annotation)
    inner = next((part for part in typing.get_args(annotation) if part is not type(None)), annotation)
    kind = inner if optional else annotation
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(f"`{value}`" for value in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return "list"
    names = {"str": "text", "int": "integer", "float": "number", "bool": "true or false", "Path": "path"}
    return names.get(getattr(kind, "__name__", ""), "text")


def row(name: str, field: FieldInfo) -> str:
    """The line of the settings table for one setting."""
    default = field.default
    if default is None or default == ():
        shown = "unset"
    elif isinstance(default, bool):
        shown = f"`{str(default).lower()}`"
    elif isinstance(default, float):
        shown = f"`{default:g}`"
    else:
        shown = f"`{default}`" if default != "" else "empty"
    return f"| `{variable(name)}` | {type_words(field)} | {shown} | {field.description} |"


def test_the_settings_table_is_the_settings() -> None:
    documented = re.findall(r"^\| `ELECTRA_.*$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == [row(name, field) for name, field in Settings.model_fields.items()]


def test_the_metrics_table_is_the_metrics() -> None:
    exposition, _ = Metrics("0").render()
    families = {family.name for family in text_string_to_metric_families(exposition.decode())}
    ours = {name for name in families if name.startswith("electra_")}
    text = DOCUMENT.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(electra_\w+?)(?:_total)?` \|", text, re.MULTILINE)) == ours
