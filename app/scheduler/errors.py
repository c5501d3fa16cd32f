"""How inference can fail, gathered from ``app.errors`` so that this room's callers need one import."""

from __future__ import annotations

from app.errors import BadItem, DeadlineExceeded, EngineDead, NotReady, QueueFull

__all__ = ["BadItem", "DeadlineExceeded", "EngineDead", "NotReady", "QueueFull"]
