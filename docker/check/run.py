"""Run the checks one after the other and count them. docker/check.sh calls this when the images are built."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from answer_checks import same_answers
from failure_checks import damaged, flood, kill, stop_under_load
from image_checks import image, threads, up
from profile_checks import monitoring, train
from stack import CheckError, Stack

Check = Callable[[Stack], str]
CHECKS: dict[str, Check] = {
    "image": image,
    "up": up,
    "threads": threads,
    "same-answers": same_answers,
    "stop-under-load": stop_under_load,
    "kill": kill,
    "flood": flood,
    "damaged": damaged,
    "train": train,
    "monitoring": monitoring,
}


def main() -> int:
    """Returns the exit code: 0 when nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--scratch", type=Path, default=Path("/tmp"))
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--without", default="", help="names, separated by commas")
    parser.add_argument("--list", action="store_true", help="name the checks")
    arguments = parser.parse_args()
    if arguments.list:
        for name, check in CHECKS.items():
            print(f"{name:16} {(check.__doc__ or '').splitlines()[0]}")
        return 0
    only, without = (set(filter(None, text.split(","))) for text in (arguments.only, arguments.without))
    unknown = (only | without) - CHECKS.keys()
    if unknown:
        parser.error(f"no check is called {sorted(unknown)[0]}; there are {', '.join(CHECKS)}")
    models = arguments.models.resolve()
    if not list(models.glob("*/*/bundle.json")):
        parser.error(f"{models} holds no bundle")
    chosen = [name for name in CHECKS if name not in without and (not only or name in only)]
    stack = Stack(os.environ["PROJECT"], models, arguments.scratch)
    failed = 0
    try:
        for name in chosen:
            failed += not _passes(name, stack)
    finally:
        stack.down()
    if without:
        print(f"not tried, as asked: {', '.join(sorted(without))}")
    print("not tried: the gpu profile and Grafana itself; tests/docker checks their files")
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _passes(name: str, stack: Stack) -> bool:
    began = time.monotonic()
    try:
        saw = CHECKS[name](stack)
    except (CheckError, OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
        kind = "saw" if isinstance(problem, CheckError) else type(problem).__name__
        print(f"FAIL {name}: {kind} {problem}", flush=True)
        return False
    print(f"ok   {name} ({time.monotonic() - began:.0f} s): {saw}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
