"""What the probes say."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    """State of the process."""

    status: Literal["starting", "ready", "draining", "dead"]
    reason: str = Field(description="Why it is not ready; empty when it is.")
