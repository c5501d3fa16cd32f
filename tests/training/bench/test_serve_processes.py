"""Servers are started, weighed with their children, and never left behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from training.bench.serve.processes import cpu_seconds, free_port, running
from training.errors import UserError

PARENT = """
import http.server, subprocess, sys
work = "import time; block = bytearray(60_000_000); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", work])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(child.pid).encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_children_are_weighed_and_stopped(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", PARENT, str(port)]
    with running("parent", command, os.environ, port, "/", tmp_path) as server:
        child = int(server.get("/")[1])
        assert set(server.tree()) == {server.process.pid, child}
        deadline = time.monotonic() + 20
        while server.resident_bytes() < 60_000_000 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.resident_bytes() > 60_000_000
        assert server.peak_resident_bytes() >= 60_000_000
        assert server.cpu_seconds() > 0
        assert server.ready_seconds > 0
    assert server.process.poll() is not None
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        state = Path(f"/proc/{child}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        if state == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{child}").exists()


def test_a_server_that_ends_at_its_start_shows_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
    with (
        pytest.raises(UserError, match=r"bad: ended with 1 at its start: no such model"),
        running("bad", command, os.environ, free_port(), "/", tmp_path),
    ):
        raise AssertionError("it never ran")


def test_a_process_that_is_gone_has_used_nothing() -> None:
    assert cpu_seconds(2**22 + 1) == 0.0
