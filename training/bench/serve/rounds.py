"""The rounds: every server in turn, a different one first each time, the backends alone in between."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.bundle import Bundle, Precision
from app.runtime import Backend
from app.tasks.model import load_encoder
from app.text.sequence import TokenSequence
from training.bench.serve.answers import Reference, references
from training.bench.serve.cells import Load, measure
from training.bench.serve.engine import offline_plans, open_engine, raw_ceiling
from training.bench.serve.noise import NoiseGuard
from training.bench.serve.processes import free_port, running
from training.bench.serve.results import Results, Row, Variant
from training.bench.serve.subjects import Subject
from training.bench.serve.texts import SHORT_TOKENS, mixed_lengths, texts_of
from training.errors import UserError

CLIENTS = 32
LIST_CLIENTS = 4
LIST_TEXTS = 32
_SHORT_TEXTS = 64
_MIX_TEXTS = 128
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How long things take. ``engine_seconds``: of the backend alone, for all batch sizes together;
    ``plan_texts``: of the mix, in the offline plans."""

    rounds: int
    seconds: float
    warm_up: float
    engine_seconds: float
    plan_texts: int


@dataclass(frozen=True)
class Material:
    """Texts, as the driver sends them and as the backend takes them."""

    short: list[str]
    mix: list[str]
    short_rows: list[TokenSequence]
    mix_rows: list[TokenSequence]

    @classmethod
    def of(cls, bundle: Bundle) -> Material:
        """Made from the bundle's own vocabulary."""
        short = texts_of(bundle, [SHORT_TOKENS] * _SHORT_TEXTS, seed=1)
        mix = texts_of(bundle, mixed_lengths(_MIX_TEXTS), seed=2)
        encoder = load_encoder(bundle)

        def rows(texts: Sequence[str]) -> list[TokenSequence]:
            return [encoder.sequence(encoder.encode(text).ids) for text in texts]

        return cls(short, mix, rows(short), rows(mix))

    def loads(self) -> list[Load]:
        """The columns of the table."""
        short = [[text] for text in self.short]
        short_tokens = [len(row) for row in self.short_rows]
        tokens = [len(row) for row in self.mix_rows]
        lists = [self.short[start:] + self.short[:start] for start in range(0, len(self.short), 8)]
        return [
            Load("short", CLIENTS, short, short_tokens, SHORT_TOKENS),
            Load("mix", CLIENTS, [[text] for text in self.mix], tokens, sum(tokens) / len(tokens)),
            Load("alone", 1, short, short_tokens, SHORT_TOKENS),
            Load(
                "lists",
                LIST_CLIENTS,
                [texts[:LIST_TEXTS] for texts in lists],
                [SHORT_TOKENS * LIST_TEXTS] * len(lists),
                SHORT_TOKENS,
                ours_only=True,
            ),
        ]


@dataclass(frozen=True)
class Contestant:
    """A row of the table, its server, and what its answers should be, by text."""

    row: Row
    subject: Subject
    expected: dict[str, Reference]

    def expectations(self, load: Load) -> list[list[Reference]]:
        return [[self.expected[text] for text in texts] for texts in load.texts]


def expected_answers(
    bundle: Bundle, material: Material, backend: Backend, precision: Precision | None
) -> tuple[dict[str, Reference], str]:
    """The backend's own answers by text, and the precision it really runs in."""
    session = open_engine(bundle, backend, precision)
    try:
        found = references(session, bundle, [*material.short_rows, *material.mix_rows])
        return dict(zip([*material.short, *material.mix], found, strict=True)), session.precision
    finally:
        session.close()


def run_rounds(
    bundle: Bundle,
    material: Material,
    contestants: Sequence[Contestant],
    results: Results,
    guard: NoiseGuard,
    pace: Pace,
    work: Path,
    tell: Callable[[str], None],
) -> None:
    """Fill the rows of ``contestants``. A peer that fails is left out of later rounds, and says why."""
    for round_ in range(pace.rounds):
        turn = round_ % max(1, len(contestants))
        for contestant in [*contestants[turn:], *contestants[:turn]]:
            row = contestant.row
            if row.failed:
                continue
            tell(f"round {round_ + 1} of {pace.rounds}: {row.name}")
            try:
                if isinstance(row, Variant):
                    _engine_alone(bundle, material, row, guard, pace)
                _served(contestant, material, guard, pace, work)
            except UserError as error:
                if isinstance(row, Variant):
                    raise
                row.failed = str(error)
                tell(f"{row.name} is left out: {error}")
    results.discarded = guard.discarded


def _engine_alone(bundle: Bundle, material: Material, row: Variant, guard: NoiseGuard, pace: Pace) -> None:
    precision: Precision | None = "int8" if row.precision == "int8" else "fp32"
    session = open_engine(bundle, row.backend, precision)  # type: ignore[arg-type]
    try:
        ceiling = guard.run(lambda: raw_ceiling(session, material.short_rows, pace.engine_seconds), _nothing)
        sample = material.mix_rows[: pace.plan_texts]
        scale = (
            sum(map(len, sample)) / len(sample) / (sum(map(len, material.mix_rows)) / len(material.mix_rows))
        )
        plans = guard.run(lambda: offline_plans(session, sample, repeats=1), _nothing)
    finally:
        session.close()
    row.ceilings.append(ceiling.value)
    row.engine_quiet.append(ceiling.quiet and plans.quiet)
    # In texts of the whole mix's mean length, as the served rate is.
    row.plans.append({budget: rate * scale for budget, rate in plans.value.items()})


def _served(contestant: Contestant, material: Material, guard: NoiseGuard, pace: Pace, work: Path) -> None:
    subject, row = contestant.subject, contestant.row
    port = free_port()
    name = row.name.replace(" ", "-")
    with running(name, subject.command(port), subject.environment, port, subject.ready_path, work) as server:
        for load in material.loads():
            if load.ours_only and not subject.ours:
                continue
            cell = measure(
                subject,
                server,
                load,
                contestant.expectations(load),
                guard,
                seconds=pace.seconds,
                warm_up=pace.warm_up,
            )
            row.cells.setdefault(load.name, []).append(cell)
            if not cell.rate:
                raise UserError(f"{row.name}: answered nothing of {load.name}: {cell.example or server.log}")
        row.peak_bytes.append(server.peak_resident_bytes())


def _nothing() -> float:
    return 0.0
