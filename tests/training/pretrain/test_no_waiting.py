"""Inside an update nothing waits for the device: no number is read from it, and nothing is copied to it.

A GPU is not needed to see that. Tensors of the ``meta`` device take the branches of one and hold no numbers:
whoever asks for one gets an error. On the CPU, whose branches are others, the operators that ask are counted.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from app.bundle import SpecialTokens
from tests.training.electra.test_losses import MASK, make_batch
from tests.training.pretrain.run_here import tiny_config
from training.electra.losses import Batch
from training.electra.model import Electra
from training.electra.optimizer import ElectraAdam, parameter_groups
from training.pretrain.loop import make_batch as batch_of
from training.pretrain.place import Place, autocast
from training.pretrain.setup import JointModel, Run, set_up
from training.pretrain.update import update

# What reads a number of the device, or makes a tensor whose size depends on the numbers of another.
ASKING = {
    "_local_scalar_dense", "equal", "masked_select", "nonzero", "repeat_interleave", "unique_consecutive",
    "unique_dim", "_unique", "_unique2",
}  # fmt: skip


@dataclasses.dataclass
class Waits:
    """What the host would wait for: operators that ask, and copies between it and the device."""

    asked: list[str] = dataclasses.field(default_factory=list)
    copied: list[str] = dataclasses.field(default_factory=list)


class Operators(TorchDispatchMode):
    """Notes operators, whoever calls them."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        # An index of booleans becomes the places where it is true.
        by_truth = name.startswith("index") and any(t.dtype == torch.bool for t in _tensors(args[1]))
        if name in ASKING or by_truth:
            self.waits.asked.append(name)
        result = func(*args, **(kwargs or {}))
        if len({tensor.device for tensor in _tensors((args, kwargs, result))}) > 1:
            self.waits.copied.append(name)
        return result


class Calls(TorchFunctionMode):
    """Notes calls that are no operators: lists of a tensor's numbers, and tensors of the host's numbers."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (torch.Tensor.tolist, torch.Tensor.numpy):
            self.waits.asked.append(func.__name__)
        if func in (torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy):
            self.waits.copied.append(func.__name__)
        return func(*args, **(kwargs or {}))


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def waits(work: Callable[..., object], *inputs: object) -> Waits:
    """What the host would wait for in ``work(*inputs)``."""
    noted = Waits()
    with Operators(noted), Calls(noted):
        work(*inputs)
    return noted


@pytest.mark.parametrize(
    "work",
    [
        lambda t: float(t.sum()),
        lambda t: bool(t.isfinite().all()),
        lambda t: t.tolist(),
        lambda t: t.nonzero(),
        lambda t: t[t > 0],
        lambda t: t.index_put_((t > 0,), t.sum()),
        lambda t: torch.equal(t, t + 1),
        lambda t: torch.repeat_interleave(t.long().abs()),
        lambda t: t.unique(),
    ],
)
def test_whoever_asks_is_found(work: Callable[[torch.Tensor], object]) -> None:
    assert waits(work, torch.randn(5)).asked
    with contextlib.suppress(RuntimeError, NotImplementedError):
        assert waits(work, torch.empty(5, device="meta")).asked


def test_copies_are_found_and_what_stays_there_is_not() -> None:
    there = torch.empty(5, device="meta")
    for work in (lambda t: t.to("meta"), lambda _: torch.tensor(1.0, device="meta"), there.copy_):
        assert waits(work, torch.randn(5)).copied
    quiet = waits(lambda t: t[torch.arange(2, device="meta")].masked_fill_(t[:2] > 0, 0.0).softmax(0), there)
    assert quiet == Waits()


OPTIONS: list[dict[str, Any]] = [
    {},
    {"micro_rows": 4},
    {"temperature": 0.5, "disallow_correct": True},
    {"noise_share": 0.5, "word_initialization": "cooccurrence"},
    {"bias_correction": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("packed", [True, False])
def test_an_update_on_a_device_asks_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], packed: bool
) -> None:
    config, place = tiny_config(**options), Place(0, 1, torch.device("meta"))
    # This device has no autocast, which changes types and reads no numbers.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    batch = make_batch(padded=packed)
    fields = {field.name: getattr(batch, field.name) for field in dataclasses.fields(Batch)}
    there = {name: value.to("meta") for name, value in fields.items() if isinstance(value, torch.Tensor)}
    with place.device:
        model = Electra(config.electra_config(200)).train()
    run = Run(
        config=config,
        electra=model.config,
        place=place,
        directory=tmp_path,
        shards=None,  # type: ignore[arg-type]
        tokenizer_path=tmp_path,
        special=SpecialTokens(pad=0, unk=1, cls=2, sep=3, mask=MASK),
        model=model,
        wrapped=JointModel(model, MASK, config),
        optimizer=ElectraAdam(parameter_groups(model, 0.01), 1e-3, bias_correction=config.bias_correction),
        makers=[],
    )
    context: Any = contextlib.nullcontext()
    for step in range(2):  # the first one makes the moments
        run.step = step
        assert waits(update, run, dataclasses.replace(batch, **there), context) == Waits()


def test_an_update_on_the_cpu_looks_at_the_norm_alone(root: Path) -> None:
    """There nothing is in flight that it could wait for, and a run that is not finite ends at once."""
    config = tiny_config(numbers="float32", micro_rows=4)
    # Without dropout, whose random numbers come from numpy on a CPU.
    still = dataclasses.replace(
        config, model=config.model | {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    )
    run = set_up(still, root / "shards", root / "tokenizer", root / "run", Place(0, 1, torch.device("cpu")))
    run.model.train()
    context = autocast("float32", run.place.device)
    for step in range(2):
        run.step = step
        assert waits(update, run, batch_of(run, step), context).asked == ["_local_scalar_dense"]
