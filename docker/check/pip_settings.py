"""Carry this machine's pip settings into a build: pip_settings.py FOLDER.

Reads `pip config list` and the PIP_* variables, and writes FOLDER/pip.conf for a build secret. Folders
of packages on this machine's disk cannot be seen from a build, so they are served on the loopback
address for as long as this process runs; it prints `ready` when pip.conf is written, and ends when its
standard input does. Nothing is stored anywhere else.
"""

from __future__ import annotations

import functools
import http.server
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

# What decides where packages come from; all else of the host's settings is its own business.
SOURCES = {"index-url", "extra-index-url", "find-links", "trusted-host", "no-index", "timeout", "proxy"}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        return


def host_settings(listing: str) -> dict[str, str]:
    """Settings of `pip config list`, by bare name; variables win over files, as for pip."""
    found: dict[str, str] = {}
    for line in sorted(listing.splitlines(), key=lambda line: line.startswith(":env:")):
        name, sign, value = line.partition("=")
        # `global` is for all commands; what is set for `install` alone counts here too.
        section, _, key = name.strip().rpartition(".")
        if sign and key in SOURCES and section in ("global", "install", ":env:"):
            found[key] = value.strip().strip("'").replace("\\n", " ")
    return found


def served(value: str) -> tuple[str, bool]:
    """The places in ``value``, those on this machine's disk behind a server; whether there was one."""
    places, local = [], False
    for place in value.split():
        parts = urlsplit(place)
        path = Path(unquote(parts.path) if parts.scheme == "file" else place)
        if parts.scheme in ("", "file") and path.is_dir():
            # Pages of an index name files beside the index (`../../files/...`).
            handler = functools.partial(Quiet, directory=str(path.parent))
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            places.append(f"http://127.0.0.1:{server.server_port}/{quote(path.name)}/")
            local = True
        elif parts.scheme not in ("", "file"):
            places.append(place)
    return " ".join(places), local


def main(folder: Path) -> None:
    """Write pip.conf, say so, serve until standard input ends."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = host_settings(listing)
    local = False
    for key in ("index-url", "extra-index-url", "find-links"):
        if key in settings:
            settings[key], is_local = served(settings[key])
            local = local or is_local
    if local:
        settings["trusted-host"] = f"{settings.get('trusted-host', '')} 127.0.0.1".strip()
    lines = ["[global]", *(f"{key} = {value}" for key, value in sorted(settings.items()) if value)]
    target = folder / "pip.conf"
    target.touch(mode=0o600)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
