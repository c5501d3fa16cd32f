"""A run on the kernels for CPUs with AMX is the run that torch would make."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.electra.native.available import needs_kernels
from tests.training.pretrain.run_here import tiny_config, train, weights
from training.electra.native import build, layer, library, vocabulary
from training.pretrain.config import PhaseConfig, PretrainConfig
from training.pretrain.loop import make_batch
from training.pretrain.place import Place, autocast
from training.pretrain.setup import Run, set_up
from training.pretrain.update import update

CPU = Place(0, 1, torch.device("cpu"))


def config(dropout: float = 0.1, **changes: Any) -> PretrainConfig:
    base = tiny_config(**changes)
    return replace(base, model=base.model | {"hidden_dropout": dropout, "attention_dropout": dropout})


def started(root: Path, **changes: Any) -> Run:
    run = set_up(config(**changes), root / "shards", root / "tokenizer", root / "run", CPU)
    run.model.train()
    return run


@needs_kernels
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_losses_and_gradients_are_those_of_torch(
    root: Path, monkeypatch: pytest.MonkeyPatch, noise: float
) -> None:
    calls = {"layer": 0, "loss": 0}

    def counted(name: str, work: Any) -> Any:
        def run(*arguments: Any) -> Any:
            calls[name] += 1
            return work(*arguments)

        return run

    monkeypatch.setattr("training.electra.model.run_layer", counted("layer", layer.run_layer))
    monkeypatch.setattr(
        vocabulary, "cross_entropy_and_draw", counted("loss", vocabulary.cross_entropy_and_draw)
    )
    found = {}
    for native in (True, False):
        shutil.rmtree(root / "run", ignore_errors=True)
        run = started(
            root,
            dropout=0.0,
            native_kernels=native,
            noise_share=noise,
            word_initialization="cooccurrence" if noise else "normal",
        )
        context = autocast("auto", CPU.device)
        found[native] = [update(run, make_batch(run, step), context) for step in range(4)]
        layers = len(run.model.generator.layers) + len(run.model.discriminator.layers)
        assert calls == {"layer": 4 * layers, "loss": 8 if noise else 4}, "the second run made none"
    for ours, theirs in zip(found[True], found[False], strict=True):
        for name in ("generator_loss", "discriminator_loss"):
            torch.testing.assert_close(ours[name], theirs[name], rtol=0.01, atol=0.0)
        torch.testing.assert_close(ours["gradient_norm"], theirs["gradient_norm"], rtol=0.05, atol=0.0)


@needs_kernels
def test_a_run_that_stopped_ends_with_the_same_bits(root: Path) -> None:
    run = train(root, config=config(steps=6, keep_last=6))
    straight = weights(run)
    shutil.rmtree(run / "pretrained")
    later = list((run / "checkpoints").glob("step-*[456]"))
    assert len(later) == 3
    for checkpoint in later:
        shutil.rmtree(checkpoint)
    stopped = weights(train(root, config=config(steps=6, keep_last=6)))
    assert straight.keys() == stopped.keys()
    assert all(torch.equal(straight[name], stopped[name]) for name in straight)


@needs_kernels
def test_two_phases_of_which_one_fits(root: Path) -> None:
    lengths = (PhaseConfig(steps=2, length=32, rows=4), PhaseConfig(steps=2, length=40, rows=4))
    run = train(root, config=replace(config(), phases=lengths))
    assert all(tensor.isfinite().all() for tensor in weights(run).values())


def native(run: Run) -> set[bool]:
    return {run.model.generator.native, run.model.discriminator.native, run.model.generator_head.native}


@pytest.mark.parametrize("changes", [{"native_kernels": False}, {"numbers": "float32"}])
def test_left_out_where_asked_for(root: Path, changes: dict[str, Any]) -> None:
    assert native(started(root, **changes)) == {False}


@pytest.mark.parametrize("curable", [True, False])
def test_a_machine_without_them_trains_and_says_what_would_help(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], curable: bool
) -> None:
    def fail() -> None:
        raise build.UnavailableError("there is no C++ compiler; install g++", curable)

    monkeypatch.setattr(library, "load", fail)
    library._say.cache_clear()
    monkeypatch.setattr("training.pretrain.place.native_bfloat16", lambda _: True)
    assert native(started(root)) == {False}
    assert ("install g++" in capsys.readouterr().out) is curable
    assert not library.usable()
    assert capsys.readouterr().out == "", "said once"
