"""Log lines are one line each, and cannot be forged."""

from __future__ import annotations

import json
import logging
import sys

from app.logs import JsonFormatter, TextFormatter


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("electra", logging.INFO, "file", 1, message, None, None)
    made.fields = fields
    return made


def test_a_json_line_is_one_line_whatever_is_in_it() -> None:
    line = JsonFormatter().format(
        record("request", path='/a\n{"level":"error"}', ms=float("nan"), what=object)
    )
    assert "\n" not in line
    document = json.loads(line)
    assert document["path"] == '/a\n{"level":"error"}'
    assert document["ms"] is None
    assert document["time"].endswith("+00:00")


def test_an_exception_is_part_of_its_line() -> None:
    made = record("failed")
    try:
        raise ValueError("why")
    except ValueError:
        made.exc_info = sys.exc_info()
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert "ValueError: why" in json.loads(line)["exception"]


def test_a_line_for_people_cannot_be_forged_either() -> None:
    line = TextFormatter().format(record("request", path="/a\nERROR all is lost", caller=""))
    assert "\n" not in line
    assert "caller" not in line
