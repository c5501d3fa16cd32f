"""The service with an engine that can be made to fail: run as ``python -m tests.faulty_server``.

A row that holds ``坏`` cannot be computed; one that holds ``九`` kills its inference thread. ``FAULTY_DELAY``
(seconds) makes every batch take longer.
"""

from __future__ import annotations

import os
import threading
import time

from app.__main__ import run
from app.runtime.batch import Outputs
from app.runtime.onnx_session import OnnxSession
from app.text.sequence import TokenSequence
from tests.toy import SPECIALS, WORDS

VOCABULARY = list(dict.fromkeys(SPECIALS + WORDS))
POISON = VOCABULARY.index("坏")
DEADLY = VOCABULARY.index("九")
DELAY_S = float(os.environ.get("FAULTY_DELAY", "0"))


class ThreadKilled(BaseException):
    """Nothing that an ``except Exception`` would catch."""


_compute = OnnxSession.run


def _faulty(self: OnnxSession, sequences: list[TokenSequence]) -> list[Outputs]:
    # Models are loaded and warmed on other threads; only what serves is to fail.
    if not threading.current_thread().name.startswith("inference"):
        return _compute(self, sequences)
    for sequence in sequences:
        if DEADLY in sequence.input_ids:
            raise ThreadKilled("the inference thread was killed by a test")
        if POISON in sequence.input_ids:
            raise ValueError("a poisoned row")
    time.sleep(DELAY_S)
    return _compute(self, sequences)


if __name__ == "__main__":
    OnnxSession.run = _faulty  # type: ignore[method-assign]
    run()
