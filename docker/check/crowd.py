"""Clients that run beside the service, in its network namespace: crowd.py SECONDS.

There a refused connection is the service's own word; through a published port Docker's proxy
accepts first and asks the container afterwards. Prints one JSON line: answers by status, connections
refused, errors.
"""

from __future__ import annotations

import collections
import json
import os
import sys
import time

from load import Crowd

TEXT = "这家店的苹果不新鲜，服务也很差！The hotel was clean. "


def main(seconds: float) -> None:
    """Send until the time is over or nobody can connect."""
    port = int(os.environ.get("ELECTRA_PORT", "8000"))
    crowd = Crowd(port, lambda number: {"input": [f"{number} {TEXT * 4}"] * 8}, clients=12)
    with crowd:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and crowd.refused < 12:
            time.sleep(0.1)
    answers = crowd.stop()
    statuses = collections.Counter(str(answer.status) for answer in answers)
    errors = sorted({answer.error for answer in answers if answer.error})
    print(json.dumps({"statuses": statuses, "refused": crowd.refused, "errors": errors}), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]))
