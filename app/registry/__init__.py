"""models/ on disk -> verified, warmed, swappable live models."""

from app.registry.info import ModelInfo
from app.registry.loading import GraphInfo, LoadOptions
from app.registry.registry import Registry
from app.registry.repository import Key

__all__ = ["GraphInfo", "Key", "LoadOptions", "ModelInfo", "Registry"]
