"""Made-up samples for the tests of the serving benchmark."""

from __future__ import annotations

from training.bench.serve.load import Answer, Sample


def sample(
    started: float, finished: float, status: int = 200, index: int = 0, body: bytes = b"{}", **headers: str
) -> Sample:
    """One request; header names with underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Sample(index, started, finished, Answer(status, named, body))
