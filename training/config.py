"""Dataclasses from mappings: every key checked, every error names the key and the file, typos get a
suggestion.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from training.errors import UserError

T = TypeVar("T")
# Text that names a file or folder: its `~` is filled in where a configuration is read, for all that use it.
FilePath = Annotated[str, "path"]


def from_mapping(cls: type[T], values: Mapping[str, Any] | None, where: str) -> T:
    """Build dataclass ``cls`` from ``values``; nested dataclasses and lists of them are built too, and the
    ``~`` of a ``FilePath`` is filled in.

    ``where`` names the file and the key path for messages, such as ``tiny.yaml: pretrain``.

    Raises:
        UserError: unknown key (with the nearest known one), missing key, wrong type, a number that is not
            finite, or a value that ``__post_init__`` refuses with ``ValueError``.
    """
    if not isinstance(values or {}, Mapping):
        raise UserError(f"{where}: expected keys and values, found {type(values).__name__}")
    values = values or {}
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}"
            raise UserError(f"{where}: unknown key {key!r}; {hint}")
    # `key:` with nothing behind it, where nothing is the default: as if it were not there.
    values = {k: v for k, v in values.items() if v is not None or fields[k].default is not None}
    hints = typing.get_type_hints(cls, include_extras=True)
    arguments = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in values.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in arguments:
            raise UserError(f"{where}: key {name!r} is missing")
    try:
        return cls(**arguments)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def _is_literal(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Literal


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        # A wrong word is most likely meant as one of the words.
        words = [option for option in options if _is_literal(option)]
        others = [option for option in options if not _is_literal(option)]
        options = [*others, *words] if isinstance(value, str) else [*words, *others]
        for option in options[:-1]:
            try:
                return _convert(option, value, where)
            except UserError:
                continue
        return _convert(options[-1], value, where)
    if origin is typing.Literal:
        if value not in arguments:
            near = difflib.get_close_matches(str(value), [str(a) for a in arguments], n=1)
            hint_text = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(map(str, arguments))}"
            raise UserError(f"{where}: {value!r} is not allowed; {hint_text}")
        return value
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, where)  # type: ignore[arg-type]
    if origin in (list, tuple):
        if not isinstance(value, list | tuple):
            raise UserError(f"{where}: expected a list, found {type(value).__name__}")
        item_hint = arguments[0] if arguments else Any
        if item_hint in (str, FilePath):
            value = _joined(value)
        items = [_convert(item_hint, item, f"{where}[{index}]") for index, item in enumerate(value)]
        return items if origin is list else tuple(items)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: expected keys and values, found {type(value).__name__}")
        return {
            _key(arguments[0], key, where): _convert(arguments[1], item, f"{where}.{key}")
            for key, item in value.items()
        }
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        return _number(value, where)
    if hint == FilePath:
        return os.path.expanduser(_convert(str, value, where))  # `Path` would rewrite more than `~`
    if hint in (int, str, bool, float):
        if type(value) is not hint:
            raise UserError(f"{where}: expected {hint.__name__}, found {value!r}")
        return value
    return value


def _number(value: int | float | str, where: str) -> float:
    try:
        number = float(value)  # YAML 1.1 reads 5e-4 as a string
    except ValueError:
        raise UserError(f"{where}: expected a number, found {value!r}") from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UserError(f"{where}: {value} is not finite; give a number such as 0.5")
    return number


def _joined(items: Sequence[Any]) -> list[Any]:
    """Lists among ``items`` become part of them: YAML can repeat a list (``*name``), but not add to it."""
    return [part for item in items for part in (_joined(item) if isinstance(item, list) else [item])]


def _key(hint: Any, key: Any, where: str) -> Any:
    """A key as ``hint`` wants it: YAML reads an unquoted ``0:`` as a number, and ``no:`` as false."""
    if hint is not str or isinstance(key, str):
        return key
    if type(key) is int:
        return str(key)
    raise UserError(f"{where}: key {key!r} is {type(key).__name__}, not text; put it in quotation marks")
