"""The service's log: JSON lines for machines, short ones for a terminal. Users' text only on request."""

from __future__ import annotations

import datetime
import logging
import sys
from typing import Any

from pydantic_core import to_json


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, and the ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return to_json(line, inf_nan_mode="null", fallback=str).decode()


class TextFormatter(logging.Formatter):
    """For a terminal: time, level, message, and the record's ``fields`` as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        # Repeated as Python shows them, so that a line break in a value cannot forge a line of the log.
        shown = "".join(f" {name}={value!r}" for name, value in fields.items() if value not in ("", None))
        return super().format(record) + shown


def configure_logging(level: str, style: str) -> None:
    """Send all logs to standard error in ``style`` (``json`` or ``text``), uvicorn's among them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # No line shows where it was logged from, and finding that out is half the cost of a line.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = False
    # Its notes on starting and stopping say less than ours; its warnings and errors we want.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
