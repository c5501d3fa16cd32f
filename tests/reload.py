"""``make dev``: the service, started anew whenever a file under ``app/`` changes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

APP = Path(__file__).parents[1] / "app"


def state() -> dict[Path, int]:
    """Every source file of the service and when it was last written."""
    return {
        path: path.stat().st_mtime_ns for path in APP.rglob("*") if path.is_file() and path.suffix != ".pyc"
    }


def main() -> None:
    """Run until interrupted; a service that fails to start waits for the next change."""
    while True:
        seen = state()
        service = subprocess.Popen([sys.executable, "-m", "app"], cwd=APP.parent)
        try:
            while state() == seen:
                time.sleep(0.5)
        except KeyboardInterrupt:
            service.wait()
            return
        print("a file changed: starting again", flush=True)
        service.terminate()
        service.wait()


if __name__ == "__main__":
    main()
