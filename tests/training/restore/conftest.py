"""Bundles of random checkpoints, as the tests of the export make them."""

from tests.training.export.conftest import material, models, settings

__all__ = ["material", "models", "settings"]
