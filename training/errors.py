"""The exceptions that a command turns into one line and a non-zero exit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.errors import ValidationFailed


class UserError(Exception):
    """Something the user can fix. The message names the file, key or row, what is wrong, and what to do."""


class Stopped(Exception):  # noqa: N818 - not an error: the run was asked to stop and has saved
    """SIGTERM or SIGINT arrived; the state is saved and the same command goes on from there."""


@contextmanager
def naming_rows(places: Sequence[str]) -> Iterator[None]:
    """Where the service refuses one of its inputs, name the place that the input comes from.

    Raises:
        UserError: instead of ``ValidationFailed``.
    """
    try:
        yield
    except ValidationFailed as error:
        field, _, index = error.problems[0].field.partition(".")
        if field not in ("input", "text_pair"):
            raise UserError(error.message) from None
        raise UserError(f"{places[int(index or 0)]}: {error.problems[0].message}") from None
