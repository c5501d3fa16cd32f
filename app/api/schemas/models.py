"""What ``/v1/models`` and ``/info`` say, and what an administrator may ask."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from app.api.schemas.common import Request
from app.bundle import Metric, Name, Provenance, Task


class ModelCard(BaseModel):
    """One served model, in OpenAI's shape and more."""

    id: str = Field(description="Name to send as `model`.")
    object: Literal["model"]
    created: int = Field(description="Unix time in seconds at which it was loaded.")
    owned_by: str = Field(description="Always `electra`.")
    task: Task
    version: str = Field(description="The version that answers now.")
    versions: list[str] = Field(description="Versions on disk, the highest first.")
    pinned: str | None = Field(description="The version it is held at; null when it follows the newest.")
    default: bool = Field(description="Whether it answers when a request names no model.")
    endpoints: list[str] = Field(description="Where it can be used.")
    labels: list[str] = Field(description="Labels of a classifier, in the order of `probs`.")
    problem_type: str | None = Field(description="`single_label` or `multi_label`; null for encoders.")
    max_tokens: int = Field(description="Longest window, special tokens included.")
    thresholds: dict[str, float] = Field(description="Named thresholds of `/detect-replaced`.")
    suggestions: bool = Field(description="Whether it can propose repairs.")
    summary_method: str | None = Field(description="The method that `/summarize` uses by default.")
    experimental: bool = Field(description="Its makers do not yet stand behind it.")
    backend: str = Field(description="What computes it.")
    precision: str = Field(description="What it computes in.")
    batch_tokens: int = Field(description="Padded tokens per batch, as calibrated.")
    tokens_per_second: int = Field(description="Its speed, as last measured.")
    metrics: list[Metric] = Field(description="What was measured of it, baselines beside it.")
    provenance: Provenance
    refused: dict[str, str] = Field(description="Versions that were refused, and why.")


class RefusedVersion(BaseModel):
    """A version on disk that is not served."""

    name: str = Field(description="Of the model.")
    version: str | None = Field(description="Null where nothing of the model can be read.")
    reason: str = Field(description="What is wrong and the cure.")


class ModelList(BaseModel):
    """All served models, classifiers first, and what was refused."""

    object: Literal["list"]
    data: list[ModelCard]
    refused: list[RefusedVersion] = Field(description="Versions that were refused, also when none is served.")


class LoadRequest(Request):
    """Which version to load."""

    version: Name | None = Field(None, description="The newest on disk when left out.")


class PinRequest(Request):
    """Which version to hold a model at."""

    version: Name | None = Field(description="Null lets it follow the newest again.")


class Info(BaseModel):
    """The service and its limits; the fields that TEI has are named as TEI names them."""

    service: str
    version: str = Field(description="Of the software.")
    status: str = Field(description="As `/readyz`.")
    model_id: str | None = Field(description="The default classifier.")
    model_sha: str | None = Field(description="Checksum of its graph file.")
    model_dtype: str | None = Field(description="What it computes in.")
    model_type: dict[str, object] = Field(description="Its labels, as TEI gives them.")
    max_input_length: int | None = Field(description="Longest window of the default classifier in tokens.")
    max_client_batch_size: int = Field(description="Most inputs in one request.")
    max_characters: int = Field(description="Most characters in one request.")
    max_body_bytes: int = Field(description="Largest body.")
    max_batch_tokens: int | None = Field(description="Padded tokens per batch of the default classifier.")
    max_queue_tokens: int = Field(description="Tokens that may wait.")
    request_timeout_s: float = Field(description="Longest deadline of a request.")
    auto_truncate: bool = Field(description="Always false: nothing is cut unless a request asks for it.")
    tokenization_workers: int
    workers: int = Field(description="Processes that share the port.")
    threads: int = Field(description="Inference threads of each.")
    models: list[ModelCard]
    refused: list[RefusedVersion] = Field(description="As in `/v1/models`.")
