"""Typos, types and missing keys: each message names the place and the cure."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from training.config import FilePath, from_mapping
from training.errors import UserError
from training.pretrain.config import PretrainConfig


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Outer:
    name: str
    rate: float = 0.1
    kind: Literal["small", "large"] = "small"
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    words: tuple[str, ...] = ()
    maybe: int | None = None
    table: dict[str, float] = field(default_factory=dict)
    weights: Literal["none", "balanced"] | dict[str, float] = "none"
    file: FilePath | list[FilePath] | None = None

    def __post_init__(self) -> None:
        if self.rate > 1:
            raise ValueError("rate must be at most 1")


def test_nested_values_are_built() -> None:
    built = from_mapping(
        Outer, {"name": "x", "inner": {"size": 3}, "many": [{"size": 4}, {}], "rate": "5e-4"}, "f"
    )
    assert built == Outer("x", 5e-4, "small", Inner(3), (Inner(4), Inner(1)))


def test_a_key_with_nothing_behind_it_takes_the_default_where_that_is_nothing() -> None:
    values = {"learning_rate": None, "phases": None, "warmup_steps": 1}
    assert from_mapping(PretrainConfig, values, "f") == PretrainConfig(warmup_steps=1)
    assert from_mapping(Outer, {"name": "x", "maybe": None}, "f").maybe is None
    with pytest.raises(UserError, match="rate: expected float, found None"):
        from_mapping(Outer, {"name": "x", "rate": None}, "f")


def test_a_list_among_texts_is_joined_to_them() -> None:
    shared = ["a", "b"]
    built = from_mapping(Outer, {"name": "x", "words": [shared, "c", [shared, []]]}, "f")
    assert built.words == ("a", "b", "c", "a", "b")
    with pytest.raises(UserError, match=r"words\[1\]: expected str, found 3"):
        from_mapping(Outer, {"name": "x", "words": [["a", 3]]}, "f")
    with pytest.raises(UserError, match=r"many\[0\]: expected keys and values, found list"):
        from_mapping(Outer, {"name": "x", "many": [[{}]]}, "f")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nmae": "x"}, r"a\.yaml: unknown key 'nmae'; did you mean 'name'\?"),
        ({"name": "x", "zzz": 1}, "unknown key 'zzz'; known keys: name, rate"),
        ({}, "key 'name' is missing"),
        ({"name": 3}, r"a\.yaml\.name: expected str, found 3"),
        ({"name": "x", "inner": {"sise": 1}}, r"a\.yaml\.inner: unknown key 'sise'; did you mean 'size'"),
        (
            {"name": "x", "many": [{}, {"size": "big"}]},
            r"a\.yaml\.many\[1\]\.size: expected int, found 'big'",
        ),
        ({"name": "x", "kind": "smal"}, r"'smal' is not allowed; did you mean 'small'"),
        ({"name": "x", "rate": 2.0}, "rate must be at most 1"),
        ({"name": "x", "rate": "fast"}, "expected a number, found 'fast'"),
        ({"name": "x", "rate": float("nan")}, r"a\.yaml\.rate: nan is not finite; give a number"),
        ({"name": "x", "rate": "-inf"}, r"a\.yaml\.rate: -inf is not finite"),
        ({"name": "x", "table": {"a": 10**400}}, r"a\.yaml\.table\.a: 10+ is not finite"),
        ({"name": "x", "file": ["a", 3]}, r"a\.yaml\.file\[1\]: expected str, found 3"),
        ({"name": "x", "inner": 3}, "expected keys and values, found int"),
        ({"name": "x", "many": 3}, "expected a list, found int"),
        ({"name": "x", "maybe": True}, "expected int, found True"),
        ({"name": "x", "weights": "balance"}, "'balance' is not allowed; did you mean 'balanced'"),
        ({"name": "x", "weights": {"a": "b"}}, r"weights\.a: expected a number, found 'b'"),
        ({"name": "x", "table": {False: 1}}, "table: key False is bool, not text; put it in quotation marks"),
        ({"name": "x", "table": {1.5: 1}}, "table: key 1.5 is float, not text"),
    ],
)
def test_mistakes_name_the_key_and_the_cure(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_mapping(Outer, values, "a.yaml")


def test_a_number_is_taken_as_the_name_that_it_stands_for() -> None:
    values = {"name": "x", "table": {0: 1, "1": 2}, "weights": {0: 3}}
    built = from_mapping(Outer, values, "a.yaml")
    assert built.table == {"0": 1.0, "1": 2.0}
    assert built.weights == {"0": 3.0}


def test_a_home_directory_is_filled_in_where_a_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    one = from_mapping(Outer, {"name": "~/x", "words": ["~/y"], "file": "~/a//b/"}, "a.yaml")
    assert (one.name, one.words, one.file) == ("~/x", ("~/y",), "/h/a//b/")
    several = from_mapping(Outer, {"name": "x", "file": ["~/a", ["./b~", "~"]]}, "a.yaml")
    assert several.file == ["/h/a", "./b~", "/h"]
    assert from_mapping(Outer, {"name": "x", "file": None}, "a.yaml").file is None
