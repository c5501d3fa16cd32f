"""``electra-serve``: read the settings, take the port, serve until told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from app.settings import Settings, SettingsError, load_settings, variable

# Before NumPy is first imported, which reads it once: its BLAS would start a thread for every core of the
# host, and beside onnxruntime's threads, which are as many as we may use, those only take cores from them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_STARTED = time.monotonic()
_EXIT_STARTUP, _EXIT_SETTINGS = 1, 2

_EPILOG = """\
examples:
  electra-serve                                    serve ./models on http://127.0.0.1:8000/
  electra-serve --port 9000 --host 0.0.0.0         reachable from other machines
  ELECTRA_API_KEYS_FILE=keys.txt electra-serve     callers need one of the keys in the file
  ELECTRA_LOG_FORMAT=text electra-serve            logs for a terminal

exit codes: 0 stopped by a signal, 1 could not start, 2 a setting is wrong, 70 inference died.
"""


def make_parser() -> argparse.ArgumentParser:
    """One flag for each setting, with its variable, its default and why it is there."""
    parser = argparse.ArgumentParser(
        prog="electra-serve",
        description="Serve ELECTRA models over HTTP. Each setting is a flag and an environment variable; "
        "the flag wins.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    settings = parser.add_argument_group("settings")
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = (
            "unset"
            if default in (None, ())
            else str(default).lower()
            if default in (True, False)
            else default
        )
        settings.add_argument(
            "--" + name.replace("_", "-"),
            dest=name,
            metavar="VALUE",
            default=argparse.SUPPRESS,
            help=f"{field.description} [{variable(name)}, default {shown}]".replace("%", "%%"),
        )
    # What the supervisor hands to its workers.
    for internal in ("--worker-socket", "--worker-pipe", "--worker-index"):
        parser.add_argument(internal, type=int, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--worker-shared", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--worker-patient", action="store_true", help=argparse.SUPPRESS)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options: dict[str, Any] = vars(make_parser().parse_args(given))
    worker = {
        name: options.pop(f"worker_{name}") for name in ("socket", "pipe", "index", "shared", "patient")
    }
    try:
        settings = load_settings(options)
        if worker["socket"] is not None:
            listener = socket.socket(fileno=worker["socket"])
            return _serve(settings, listener, **{name: worker[name] for name in worker if name != "socket"})
        return _start(settings, given)
    except SettingsError as error:
        return _fail(str(error), _EXIT_SETTINGS)


def _start(settings: Settings, given: list[str]) -> int:
    from app.api.listener import BindError, bind

    if settings.require_models and not settings.models_dir.is_dir():
        return _fail(
            f"{settings.models_dir}: no such directory; set {variable('models_dir')} to the model repository",
            _EXIT_STARTUP,
        )
    try:
        listener = bind(settings.host, settings.port)
    except BindError as error:
        return _fail(str(error), _EXIT_STARTUP)
    if settings.workers == 1:
        return _serve(settings, listener)
    from app.logs import configure_logging
    from app.shared import NoRoomError
    from app.supervisor import supervise

    configure_logging(settings.log_level, settings.log_format)
    try:
        return supervise(settings, listener, given)
    except NoRoomError as error:
        return _fail(str(error), _EXIT_STARTUP)


def _serve(
    settings: Settings,
    listener: socket.socket,
    pipe: int | None = None,
    index: int | None = None,
    shared: Path | None = None,
    patient: bool = False,
) -> int:
    # Imported late: --help and mistakes in settings answer at once.
    from app.api.middleware.observe import refusals
    from app.api.server import Server, make_config
    from app.logs import configure_logging
    from app.main import create_app
    from app.supervisor import stop_signals

    configure_logging(settings.log_level, settings.log_format)

    def on_ready() -> None:
        if not index:
            seconds = time.monotonic() - _STARTED
            print(f"electra: ready in {seconds:.1f} s; {_where(settings, listener)}", flush=True)

    app = create_app(settings, shared=shared, on_ready=on_ready, patient=patient)
    service = app.state.service
    config = make_config(app, settings, refusals(service.metrics, settings.access_log))
    server = Server(config, service.lifecycle, settings.drain_delay_s, pipe)
    if signal.SIGHUP in stop_signals():  # uvicorn leaves it to the system, which ends us in mid-answer
        signal.signal(signal.SIGHUP, server.handle_exit)
    server.run([listener])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what ends already has its exit code
    if server.exit_code:
        return _fail(service.lifecycle.reason, server.exit_code)
    return 0


def _where(settings: Settings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}{settings.root_path}/"
    if settings.page:
        return f"the page is at {address}"
    return f"the API is at {address}"


def _fail(reason: str, code: int) -> int:
    print(f"electra: {reason}", file=sys.stderr, flush=True)
    return code


def run() -> None:
    """Entry point of the command: run, then leave even if a thread of a dead engine hangs."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until the server takes over there is nothing to finish: a stop is a stop, and no failed start.
        signal.signal(number, lambda *_: os._exit(0))
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
