"""The proxy in front of a real service process: Debian's nginx, TLS, and a certificate made here."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.server import Server, eventually, free_port, running
from tests.toy import toy_bundle

CONFIGURATION = Path(__file__).resolve().parents[2] / "docker" / "nginx" / "electra.conf"
TEXT = CONFIGURATION.read_text(encoding="utf-8")
HOST = "electra.example"
OPERATOR, STRANGER = "127.0.0.1", "127.0.0.2"
_MAIN = """
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    access_log off;
    include {directory}/electra.conf;
}}
"""


@dataclass
class Proxy:
    """nginx in front of ``server``. ``authority`` verifies its certificate."""

    server: Server
    directory: Path
    http_port: int
    https_port: int
    authority: ssl.SSLContext

    def ask(
        self, method: str, path: str, *, source: str = STRANGER, host: str = HOST, **options: object
    ) -> httpx.Response:
        """One request over TLS from the address ``source`` of this machine."""
        transport = httpx.HTTPTransport(verify=self.authority, local_address=source)
        headers = {"host": host, **options.pop("headers", {})}  # type: ignore[dict-item]
        with httpx.Client(transport=transport, timeout=60.0) as client:
            return client.request(
                method,
                f"https://127.0.0.1:{self.https_port}{path}",
                headers=headers,
                extensions={"sni_hostname": HOST},
                **options,  # type: ignore[arg-type]
            )

    def logged(self, request_id: str) -> dict[str, str]:
        """The line that nginx wrote for a request."""
        file = self.directory / "access.log"

        def line() -> dict[str, str] | None:
            lines = [json.loads(each) for each in file.read_text(encoding="utf-8").splitlines()]
            return next((each for each in lines if each["request_id"] == request_id), None)

        return eventually(line)

    def served(self, request_id: str) -> dict[str, object]:
        """The line that the service wrote for a request."""

        def line() -> dict[str, object] | None:
            lines = [json.loads(each) for each in self.server.log.splitlines() if request_id in each]
            return lines[0] if lines else None

        return eventually(line)


def certificate(directory: Path) -> None:
    """A self-signed certificate for ``HOST``, and its key."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}",
         "-keyout", str(directory / "electra.key"), "-out", str(directory / "electra.pem")],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip


def adapted(directory: Path, upstream: int, http_port: int, https_port: int) -> str:
    """The shipped file with the ports and files of this test; nothing else is changed."""
    text = TEXT
    for old, new in (
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{upstream};"),
        ("listen 80;", f"listen 127.0.0.1:{http_port};"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{https_port} ssl http2;"),
        ("/etc/ssl/electra.", f"{directory}/electra."),
        ("/var/log/nginx/electra.log", f"{directory}/access.log"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None or not shutil.which("openssl"):
        pytest.skip("there is no nginx; on Debian: apt-get install nginx-light openssl")
    directory = tmp_path_factory.mktemp("nginx")
    toy_bundle(directory / "models", "sentiment", task="classify")
    certificate(directory)
    with running(directory / "models", directory / "run", admin_key="boss") as server:
        proxied = Proxy(
            server,
            directory,
            free_port(),
            free_port(),
            ssl.create_default_context(cafile=str(directory / "electra.pem")),
        )
        (directory / "electra.conf").write_text(
            adapted(directory, server.port, proxied.http_port, proxied.https_port), encoding="utf-8"
        )
        # Its workers read and write in a folder that is ours alone.
        user = "user root;" if os.geteuid() == 0 else ""
        main = directory / "nginx.conf"
        main.write_text(_MAIN.format(user=user, directory=directory), encoding="utf-8")
        command = [nginx, "-e", f"{directory}/error.log", "-c", str(main)]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=60, check=False)
        assert checked.returncode == 0, checked.stderr
        assert "warn" not in checked.stderr
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: _answers(proxied))
            yield proxied
        finally:
            process.terminate()
            process.wait(20)


def _answers(proxied: Proxy) -> bool:
    try:
        return proxied.ask("GET", "/info").status_code == 200
    except httpx.TransportError:
        return False


def test_it_answers_through_tls_as_the_service_does(proxy: Proxy) -> None:
    body = {"input": ["很好", "不好"]}
    through = proxy.ask("POST", "/classify", json=body)
    assert through.status_code == 200, through.text
    assert through.json()["data"] == proxy.server.post("/classify", body).json()["data"]
    assert through.headers["strict-transport-security"]
    assert through.headers["x-content-type-options"] == "nosniff"


def test_plain_http_is_sent_to_tls(proxy: Proxy) -> None:
    answer = httpx.post(
        f"http://127.0.0.1:{proxy.http_port}/classify?x=1", headers={"host": HOST}, trust_env=False
    )
    assert answer.status_code == 308
    assert answer.headers["location"] == f"https://{HOST}/classify?x=1"


def test_a_body_beyond_the_limit_is_refused_and_one_below_it_reaches_the_service(proxy: Proxy) -> None:
    limit = Settings().max_body_bytes
    beyond = proxy.ask(
        "POST", "/classify", content=b" " * (limit + 1), headers={"content-type": "application/json"}
    )
    assert beyond.status_code == 413
    below = proxy.ask("POST", "/classify", content=b" " * limit, headers={"content-type": "application/json"})
    assert below.status_code == 400
    assert below.json()["error_type"] == "json"


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/%6detrics", "//metrics", "/x/../metrics", "/metrics/", "/livez", "/readyz", "/health",
     "/v2/health/ready", "/electra/metrics"],
)  # fmt: skip
def test_operators_paths_are_refused_to_strangers(proxy: Proxy, path: str) -> None:
    transport = httpx.HTTPTransport(verify=proxy.authority, local_address=STRANGER)
    # A raw target: a client of good will would tidy it up first.
    url = httpx.URL(f"https://127.0.0.1:{proxy.https_port}").copy_with(raw_path=path.encode())
    with httpx.Client(transport=transport) as client:
        answer = client.request("GET", url, headers={"host": HOST}, extensions={"sni_hostname": HOST})
    assert answer.status_code == 403, path
    assert "electra_" not in answer.text


def test_operators_get_them(proxy: Proxy) -> None:
    assert "electra_requests_total" in proxy.ask("GET", "/metrics", source=OPERATOR).text
    assert proxy.ask("GET", "/readyz", source=OPERATOR).status_code == 200


@pytest.mark.parametrize("verb", ["load", "unload", "pin"])
def test_administration_is_not_for_strangers_even_with_the_key(proxy: Proxy, verb: str) -> None:
    path, key = f"/v1/models/sentiment/{verb}", {"authorization": "Bearer boss"}
    assert proxy.ask("POST", path, json={}, headers=key).status_code == 403
    assert proxy.ask("GET", "/v1/models/sentiment").status_code == 200


def test_administration_works_for_operators(proxy: Proxy) -> None:
    answer = proxy.ask(
        "POST",
        "/v1/models/sentiment/pin",
        source=OPERATOR,
        json={"version": "1"},
        headers={"authorization": "Bearer boss"},
    )
    assert answer.status_code == 200, answer.text


def test_both_logs_know_the_client_and_the_request(proxy: Proxy) -> None:
    forged = {"x-forwarded-for": "203.0.113.9", "x-request-id": "of-the-caller:1"}
    answer = proxy.ask("POST", "/classify", json={"input": "好"}, headers=forged)
    assert answer.headers["x-request-id"] == "of-the-caller:1"
    assert proxy.logged("of-the-caller:1")["client"] == STRANGER
    served = proxy.served("of-the-caller:1")
    assert served["caller"] == STRANGER
    assert served["path"] == "/classify"


def test_a_request_without_an_id_or_with_a_bad_one_gets_one(proxy: Proxy) -> None:
    for headers in ({}, {"x-request-id": 'a"b c'}):
        given = proxy.ask("POST", "/classify", json={"input": "好"}, headers=headers).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", given)
        assert proxy.logged(given)["status"] == "200"
        assert proxy.served(given)["status"] == 200


def test_connections_to_the_service_are_kept(proxy: Proxy) -> None:
    """The service sees one connection for many requests: nginx adds no ``Connection: close``."""
    ports = set()
    for _ in range(4):
        proxy.ask("POST", "/classify", json={"input": "好"})
        sockets = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        wanted = f"0100007F:{proxy.server.port:04X}"
        # Established connections whose far end is the service: those that nginx holds.
        ports |= {
            fields[1] for fields in map(str.split, sockets) if fields[2] == wanted and fields[3] == "01"
        }
    assert 1 <= len(ports) <= 3


def test_the_service_s_errors_come_through_as_they_are(proxy: Proxy) -> None:
    refused = proxy.ask("POST", "/classify", json={"input": []})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"


def seconds(name: str) -> list[float]:
    """Values of a directive, in seconds."""
    return [float(value) for value in re.findall(rf"^\s+{name} (\d+)s;", TEXT, re.MULTILINE)]


def test_its_limits_are_the_service_s() -> None:
    settings = Settings()
    size = re.search(r"client_max_body_size (\d+)m;", TEXT)
    assert size
    assert int(size.group(1)) * 1024**2 == settings.max_body_bytes
    usual, administration = seconds("proxy_read_timeout")
    assert usual > settings.request_timeout_s
    assert administration > settings.admin_timeout_s
    assert seconds("client_header_timeout") == [settings.header_timeout_s]
    assert seconds("client_body_timeout") == [settings.body_timeout_s]
    # The proxy lets go of an idle connection first, so that no request meets one that is being closed.
    (kept,) = seconds("keepalive_timeout")
    assert kept < settings.keep_alive_s
    assert settings.trusted_proxies == "127.0.0.1"
