"""Everything that was measured, in one place: medians over the rounds, and ratios taken within a round."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from training.bench.serve.cells import Cell
from training.bench.serve.engine import Ceiling
from training.bench.serve.figures import median
from training.bench.serve.overload import Overload

MILLISECOND = 1e-3


@dataclass(frozen=True)
class Machine:
    """What it ran on, as a class of machine."""

    processor: str
    cpus: int
    vectors: str
    amx: bool
    memory_bytes: int
    software: str
    date: str


@dataclass
class Row:
    """One server. ``cells[load]``: one cell for each round."""

    name: str
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    peak_bytes: list[int] = field(default_factory=list)
    failed: str = ""

    def of(self, load: str, figure: str) -> float:
        """Median of a cell's field over the rounds; nan where there is none."""
        return median([float(getattr(cell, figure)) for cell in self.cells.get(load, [])])

    def all_cells(self) -> list[Cell]:
        return [cell for cells in self.cells.values() for cell in cells]


@dataclass
class Variant(Row):
    """This service with one backend and precision, and that backend alone in the same rounds."""

    backend: str = ""
    precision: str = ""
    ceilings: list[Ceiling] = field(default_factory=list)
    plans: list[dict[int, float]] = field(default_factory=list)
    # One for each round: whether nothing disturbed the backend alone.
    engine_quiet: list[bool] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"{self.backend} {self.precision}"

    def ceiling(self) -> float:
        """Texts of the short length per second, backend alone at its best batch."""
        return median([ceiling.best for ceiling in self.ceilings])

    def plan(self) -> float:
        """Texts of the mix per second, backend alone with the best offline plan."""
        return median([max(plan.values()) for plan in self.plans])

    def ratio(self, load: str, bound: str) -> float:
        """Median over the rounds of served over what the backend alone did in the same round."""

        def limit(round_: int) -> float:
            return self.ceilings[round_].best if bound == "ceiling" else max(self.plans[round_].values())

        return self._by_round(load, lambda round_, cell: cell.rate / limit(round_))

    def alone_extra_ms(self) -> float:
        """One client's p50 above the bare engine call of the same round."""
        return self._by_round(
            "alone", lambda round_, cell: (cell.p50 - self.ceilings[round_].alone_seconds) / MILLISECOND
        )

    def padding(self) -> float:
        """Median over the quiet rounds, over all when none was."""
        cells = self.cells.get("mix", [])
        return median([cell.padding for cell in ([c for c in cells if c.quiet] or cells)])

    def inside(self, load: str) -> float:
        """Speed of each batch over what the backend alone does."""
        return self.of(load, "engine_rate") / (self.plan() if load == "mix" else self.ceiling())

    def _by_round(self, load: str, figure: Callable[[int, Cell], float]) -> float:
        cells = self.cells.get(load, [])
        rounds = self.quiet_rounds(load) or range(min(len(cells), len(self.ceilings), len(self.plans)))
        return median([figure(round_, cells[round_]) for round_ in rounds])

    def quiet_rounds(self, load: str) -> list[int]:
        """Rounds in which neither the served nor the bare run was disturbed: only they compare."""
        pairs = zip(self.cells.get(load, []), self.engine_quiet, strict=False)
        return [round_ for round_, (cell, quiet) in enumerate(pairs) if cell.quiet and quiet]


@dataclass
class Results:
    """Of one call of the benchmark."""

    machine: Machine
    rounds: int
    seconds: float
    noise_limit: float
    model: str
    variants: list[Variant] = field(default_factory=list)
    peers: list[Row] = field(default_factory=list)
    default: tuple[str, str] = ("", "")
    footprint_of: str = "one classifier"
    peak_bytes: float = math.nan
    ready_seconds: float = math.nan
    overload: Overload | None = None
    overload_quiet: bool = True
    discarded: int = 0

    def variant(self, backend: str, precision: str) -> Variant | None:
        """The variant that ran so; None when it was not measured."""
        return next((v for v in self.variants if (v.backend, v.precision) == (backend, precision)), None)

    def default_variant(self) -> Variant | None:
        """The variant that the service chooses when nothing is set."""
        return self.variant(*self.default)

    def best_peer(self, load: str) -> Row | None:
        """The peer that answered most of ``load``, wrong answers not counted."""
        fit = [
            peer for peer in self.peers if not math.isnan(peer.of(load, "rate")) and not _wrong(peer, load)
        ]
        return max(fit, key=lambda peer: peer.of(load, "rate"), default=None)

    def times_best_peer(self, variant: Variant, load: str) -> float:
        """Median over the rounds of our rate over that of the peer which is best over all rounds."""
        best = self.best_peer(load)
        if best is None:
            return math.nan
        pairs = list(zip(variant.cells.get(load, []), best.cells.get(load, []), strict=False))
        sound = [pair for pair in pairs if pair[0].quiet and pair[1].quiet]
        return median([ours.rate / theirs.rate for ours, theirs in sound or pairs if theirs.rate])

    def quiet_beside_best(self, variant: Variant, load: str) -> bool:
        """Whether any round compares the two undisturbed."""
        best = self.best_peer(load)
        pairs = zip(variant.cells.get(load, []), best.cells.get(load, []) if best else [], strict=False)
        return any(ours.quiet and theirs.quiet for ours, theirs in pairs)


def _wrong(row: Row, load: str) -> int:
    return sum(cell.wrong for cell in row.cells.get(load, []))
