"""models/ on disk -> verified, warmed, swappable live models."""

from app.registry.loading import GraphInfo, LoadOptions
from app.registry.registry import ModelInfo, Registry

__all__ = ["GraphInfo", "LoadOptions", "ModelInfo", "Registry"]
