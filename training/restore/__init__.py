"""Restore: from a bundle back to checkpoints that can be trained on."""
