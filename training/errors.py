"""The one exception that a command turns into one line and a non-zero exit."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can fix. The message names the file, key or row, what is wrong, and what to do."""


class Stopped(Exception):  # noqa: N818 - not an error: the run was asked to stop and has saved
    """SIGTERM or SIGINT arrived; the state is saved and the same command goes on from there."""
