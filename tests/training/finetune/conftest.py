"""One tiny checkpoint for all; our thread settings must come before torch is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

import training.finetune  # noqa: F401 - sets how idle threads wait


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer ElectraForPreTraining with its tokenizer; never written to."""
    import torch

    from training.finetune.dry_run import tiny_checkpoint

    torch.set_num_threads(1)
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "checkpoint")
