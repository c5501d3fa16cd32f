"""Every setting of the service: environment variable, type, default, and one line of why.

A setting ``max_items`` is read from ``ELECTRA_MAX_ITEMS`` or from ``--max-items`` of ``electra-serve``; the
flag wins. A variable that starts with ``ELECTRA_`` and names no setting is an error: a misspelt limit is no
limit. ``docs/operations.md`` shows the same table (a test compares the two).
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "ELECTRA_"
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]+")
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""In seconds too, and longer than none."""


class SettingsError(Exception):
    """A setting that cannot be used. The message is one line: the variable, what is wrong, and the cure."""


class Settings(BaseSettings):
    """The service's settings, checked as a whole before anything is started."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, protected_namespaces=())

    # Network
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 to be reached from elsewhere.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="TCP port; 0 takes any free one.")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Processes that share the port; each holds every model, so memory grows with it."
    )
    root_path: str = Field("", description="Prefix under which a reverse proxy publishes the service.")
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="Addresses whose X-Forwarded-For is believed, separated by commas; * for all.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call the API from a browser, separated by commas; * for all."
    )
    keep_alive_s: Seconds = Field(
        75.0, description="How long an idle connection is kept for its next request."
    )
    header_timeout_s: Limit = Field(
        10.0, description="A client that takes longer to send its headers is cut off."
    )
    body_timeout_s: Limit = Field(30.0, description="A client that takes longer to send its body gets 408.")

    # Models
    models_dir: Path = Field(Path("models"), description="Model repository: NAME/VERSION/bundle.json.")
    default_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Models that answer when a request names none, one per task; not ready without them.",
    )
    require_models: bool = Field(
        True,
        description="Exit when no model can be served at start, or a default is unknown; false waits.",
    )
    watch_interval_s: Seconds = Field(
        5.0, description="How often the model repository is looked through for new versions; 0 is never."
    )
    backend: Literal["auto", "onnxruntime", "openvino", "cuda"] = Field(
        "auto", description="What computes; auto measures those that are installed at start."
    )
    precision: Literal["fp32", "int8"] | None = Field(
        None, description="Graph file to load; unset takes the one that each bundle names as its best."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, description="Inference threads per process; unset follows the CPU quota, shared by the workers."
    )

    # Scheduling
    parallel_batches: Annotated[int, Field(ge=1, le=8)] | None = Field(
        None, description="Batches computed at once per process; unset is 2, or 1 where one thread computes."
    )
    batch_tokens: Annotated[int, Field(ge=64)] | None = Field(
        None, description="Padded tokens per batch; unset is calibrated for each model at start."
    )
    queue_tokens: Annotated[int, Field(ge=64)] = Field(
        131_072, description="Tokens that may wait or run in a process before requests get 429."
    )

    # Requests
    request_timeout_s: Limit = Field(
        30.0, description="Deadline of a request; X-Request-Timeout may ask for less, never for more."
    )
    admin_timeout_s: Limit = Field(
        600.0, description="Deadline of an administrator's load, unload or pin, in place of a request's."
    )
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        8 * 1024 * 1024, description="Largest body that is read, chunked or not; beyond it 413."
    )
    max_items: Annotated[int, Field(ge=1)] = Field(1024, description="Most inputs in one request.")
    max_characters: Annotated[int, Field(ge=1)] = Field(
        500_000, description="Most characters in one request, over all of its inputs."
    )

    # Access
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys that may call the API, separated by commas; with none and no file, all may."
    )
    api_keys_file: Path | None = Field(
        None, description="File of further keys, one a line, # for comments; read again when it changes."
    )
    admin_key: SecretStr | None = Field(
        None, description="Key that may load, unload and pin models; without one nobody may."
    )
    admin_key_file: Path | None = Field(
        None, description="File that holds the admin key, for secrets mounts."
    )
    rate_limit_per_minute: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0,
        description="Requests a minute for each key (or address, where there are no keys); 0 is no limit.",
    )
    rate_limit_burst: Annotated[int, Field(ge=1)] = Field(
        20, description="Requests that a key may send at once before the rate counts."
    )

    # Stopping
    drain_delay_s: Seconds = Field(
        0.0, description="After SIGTERM, time in which readiness is false and requests are still taken."
    )
    shutdown_timeout_s: Limit = Field(60.0, description="Longest wait for requests in flight when stopping.")

    # Telemetry
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    log_format: Literal["json", "text"] = Field(
        "json", description="json for machines, text for a terminal; both go to standard error."
    )
    access_log: bool = Field(True, description="Log one line for each request.")
    log_text: bool = Field(
        False, description="Log the first 200 characters of what users send; off because it is theirs."
    )
    metrics: bool = Field(True, description="Offer Prometheus metrics at /metrics.")
    otel_endpoint: str | None = Field(
        None,
        description="OTLP/HTTP endpoint for traces, such as http://collector:4318; needs the otel extra.",
    )
    otel_service_name: str = Field("electra", description="Service name on the traces.")

    # What is shown
    page: bool = Field(True, description="Serve the page at /.")
    docs: bool = Field(True, description="Serve the API reference at /docs and /openapi.json.")

    @field_validator("cors_origins", "default_models", "api_keys", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
        return value

    @field_validator("api_keys", "admin_key", mode="before")
    @classmethod
    def _keys_are_not_empty(cls, value: object) -> object:
        # A secret that was not filled in must neither open the door nor be a key that anybody has.
        if isinstance(value, str) and not value.strip(" ,"):
            raise ValueError("is empty; give a key, or unset it")
        return value.strip() if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_addresses(cls, value: str) -> str:
        # uvicorn takes anything else for a name, and no client has one.
        hosts = [] if value.strip() == "*" else [host.strip() for host in value.split(",")]
        for host in filter(None, hosts):
            try:
                network = ipaddress.ip_network(host, strict=False)
            except ValueError:
                raise ValueError(f"{host!r} is neither an address nor a network nor * alone") from None
            if ipaddress.ip_address(host.partition("/")[0]) != network.network_address:
                raise ValueError(f"{host} is an address within a network; write {network} for all of it")
        return value.strip()

    @field_validator("cors_origins")
    @classmethod
    def _origins_can_match(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            bare = origin.lower().rstrip("/")
            if origin in ("*", "null") or (origin == bare and _ORIGIN.fullmatch(origin)):
                continue
            cure = (
                f"write {bare}"
                if _ORIGIN.fullmatch(bare)
                else "write scheme and host, as in https://a.example"
            )
            raise ValueError(f"{origin!r} is never what a browser sends; {cure}")
        return value

    @field_validator("root_path")
    @classmethod
    def _root_path_shape(cls, value: str) -> str:
        if value and (not value.startswith("/") or value.endswith("/")):
            raise ValueError("starts with / and does not end with it, such as /electra")
        return value

    @field_validator("otel_endpoint")
    @classmethod
    def _endpoint_is_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("is a URL that starts with http:// or https://")
        return value

    @model_validator(mode="after")
    def _one_admin_key(self) -> Settings:
        if self.admin_key is not None and self.admin_key_file is not None:
            raise ValueError("give admin_key or admin_key_file, not both")
        return self

    @classmethod
    def names(cls) -> list[str]:
        """Names of all settings, in the order of this file."""
        return list(cls.model_fields)


def variable(name: str) -> str:
    """Environment variable of a setting."""
    return PREFIX + name.upper()


def load_settings(
    overrides: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read and check the settings.

    Args:
        overrides: values that win over the environment, by setting name (command-line flags).
        environment: looked through for misspelt names; the process's own by default.

    Raises:
        SettingsError: an unknown ``ELECTRA_*`` variable, or a value that cannot be used.
    """
    _refuse_unknown(os.environ if environment is None else environment)
    try:
        return Settings(**dict(overrides or {}))
    except ValidationError as error:
        raise SettingsError(_explain(error.errors()[0])) from None


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = [variable(name) for name in Settings.names()]
    for name in environment:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsError(f"{name} is not a setting; {_hint(name.upper(), known)}")


def _hint(name: str, known: list[str]) -> str:
    # Kubernetes describes a Service called "electra" to its pods in variables with our prefix.
    if _SERVICE_LINK.search(name):
        return "it looks like a Kubernetes service link: set enableServiceLinks: false in the pod"
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "electra-serve --help lists the settings"


def _explain(problem: ErrorDetails) -> str:
    location = problem["loc"]
    message = problem["msg"].removeprefix("Value error, ")
    if not location:
        return message
    name = str(location[0])
    shown = "" if "key" in name else f" {problem['input']!r}"
    return f"{variable(name)}{shown}: {message}"
