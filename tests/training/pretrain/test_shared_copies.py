"""Memory that processes have in common; whole runs on it are in ``test_distributed``."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.pretrain.place import Place
from training.pretrain.shared_copies import can_share

pytestmark = pytest.mark.timeout(300)

# Three processes, so that a part has neighbours on both sides: tensors cut, whole, without gradient.
SUM_AND_STEP = """
import os
import torch
from torch import distributed, nn
from training.electra.optimizer import ElectraAdam, parameter_groups
from training.pretrain.place import join
from training.electra.optimizer import clip_parts
from training.pretrain.shared_copies import share

place = join()
torch.manual_seed(place.rank)  # the first process's weights count
model = nn.ModuleDict({"wide": nn.Linear(37, 11), "narrow": nn.Linear(3, 2), "unused": nn.Linear(20, 40)})
if place.rank == 0:
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
optimizer = ElectraAdam(parameter_groups(model, 0.01), 1e-2)
# One that may not open the memory is enough for all to do without.
from_file = torch.from_file
if place.rank == 1:
    def refused(*_, **__):
        raise RuntimeError("unable to open file")
    torch.from_file = refused
before = [p.data_ptr() for p in model.parameters()]
assert share(nn.Identity(), optimizer, place) is None
assert [p.data_ptr() for p in model.parameters()] == before
torch.from_file = from_file
copies = share(nn.Identity(), optimizer, place)
everyones = [
    {name: torch.randn(p.shape, generator=torch.Generator().manual_seed(1000 * rank + i))
     for i, (name, p) in enumerate(model.named_parameters()) if "unused" not in name}
    for rank in range(3)
]
for _ in range(2):
    for name, gradient in everyones[place.rank].items():
        dict(model.named_parameters())[name].grad = gradient.clone()
    parts = copies.exchange()
    sizes = torch.tensor([sum(len(part) for part in parts)])
    norm = clip_parts(parts, 1e9, distributed.group.WORLD)
    whole_norm = torch.cat([sum(g[name] for g in everyones).reshape(-1) for name in everyones[0]]).norm()
    torch.testing.assert_close(norm, whole_norm)
    optimizer.step()
    copies.settle()
    distributed.all_reduce(sizes)
    assert int(sizes) == 37 * 11 + 11 + 3 * 2 + 2
if place.rank == 0:
    alone = nn.ModuleDict({"wide": nn.Linear(37, 11), "narrow": nn.Linear(3, 2), "unused": nn.Linear(20, 40)})
    alone.load_state_dict(start)
    whole = ElectraAdam(parameter_groups(alone, 0.01), 1e-2)
    for _ in range(2):
        for name, p in alone.named_parameters():
            if "unused" not in name:
                p.grad = sum(gradients[name] for gradients in everyones)
        whole.step()
    for (name, mine), theirs in zip(model.named_parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)
        if "unused" not in name:
            for kind in ("first", "second"):
                held = optimizer.state[mine][kind], whole.state[theirs][kind]
                torch.testing.assert_close(*held, rtol=1e-5, atol=1e-7)
    assert [g["step"] for g in optimizer.param_groups] == [2, 2]
mine = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
first = mine.clone()
distributed.broadcast(first, 0)
assert torch.equal(mine, first)
assert not any("electra" in os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
               if os.path.exists(f"/proc/self/fd/{n}"))
distributed.destroy_process_group()
"""


def test_each_of_three_updates_its_part_for_all(tmp_path: Path) -> None:
    (tmp_path / "step.py").write_text(SUM_AND_STEP, encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"]
    done = subprocess.run(
        [*launcher, str(tmp_path / "step.py")],
        env={"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("world", "local", "device", "shares"),
    [(2, "2", "cpu", True), (2, "1", "cpu", False), (1, "1", "cpu", False), (2, "2", "meta", False)],
)
def test_only_processes_of_one_host_without_gpu_share(
    monkeypatch: pytest.MonkeyPatch, world: int, local: str, device: str, shares: bool
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
    assert can_share(Place(0, world, torch.device(device))) is shares
