"""The goals of the serving engine, each with what was measured: met, missed, disturbed, or not tried here.

"Disturbed" judges nothing: others used the machine whenever this was measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.bench.serve.results import Results

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the goals' table."""

    name: str
    target: str
    measured: str
    state: str


def _goal(
    name: str, value: float, target: float, *, least: bool, shown: str = "{:.2f}", quiet: bool = True
) -> Goal:
    if math.isnan(value):
        return Goal(name, _target(target, least, shown), "not measured", "not tried")
    met = value >= target if least else value <= target
    state = "disturbed" if not quiet else "met" if met else "missed"
    return Goal(name, _target(target, least, shown), shown.format(value), state)


def _target(target: float, least: bool, shown: str) -> str:
    return ("at least " if least else "at most ") + shown.format(target)


def goals(results: Results) -> list[Goal]:
    """Every goal, in the order in which they were set."""
    lines: list[Goal] = []
    for variant in results.variants:
        name = variant.label
        lines.append(
            _goal(
                f"{name}: served / raw ceiling, one text of 64 tokens a request",
                variant.ratio("short", "ceiling"),
                0.75 if variant.precision == "bf16" else 0.85,
                least=True,
                quiet=bool(variant.quiet_rounds("short")),
            )
        )
        lines.append(
            _goal(
                f"{name}: served / raw ceiling, 32 texts of 64 tokens a request",
                variant.ratio("lists", "ceiling"),
                0.95,
                least=True,
                quiet=bool(variant.quiet_rounds("lists")),
            )
        )
    for variant in results.variants:
        lines.append(
            _goal(
                f"{variant.label}: the mix, served / best offline plan",
                variant.ratio("mix", "plan"),
                0.85,
                least=True,
                quiet=bool(variant.quiet_rounds("mix")),
            )
        )
    for variant in results.variants:
        lines.append(
            _goal(
                f"{variant.label}: one client alone, p50 above the bare engine call, ms",
                variant.alone_extra_ms(),
                1.5,
                least=False,
                quiet=bool(variant.quiet_rounds("alone")),
            )
        )
    lines += _against_peers(results)
    for variant in results.variants:
        lines.append(
            _goal(
                f"{variant.label}: padding ratio on the mix",
                variant.padding(),
                1.10,
                least=False,
                # Rows that wait too long on a busy machine are served in their turn, whatever the padding.
                quiet=any(cell.quiet for cell in variant.cells.get("mix", [])),
            )
        )
    lines.append(
        _goal(
            f"peak resident memory, {results.footprint_of}, MB",
            results.peak_bytes / MEGABYTE,
            350,
            least=False,
            shown="{:.0f}",
        )
    )
    lines.append(_goal("process start to ready, s", results.ready_seconds, 3.0, least=False))
    return lines + _under_overload(results)


def _against_peers(results: Results) -> list[Goal]:
    fp32 = results.variant("onnxruntime", "fp32")
    default = results.default_variant()
    best = {name: results.best_peer(name) for name in ("short", "mix")}
    lines = []
    for variant, title, short, mix, tried in (
        (default, "default choice, on a machine with AMX", 3.0, 3.0, results.machine.amx),
        (fp32, "onnxruntime fp32", 1.0, 2.0, True),
    ):
        for load, target, what in (("short", short, "64 tokens"), ("mix", mix, "the mix")):
            name = f"{title}: times the best peer on {what}"
            if not tried or variant is None:
                reason = "no AMX here" if not tried else "not measured"
                if variant is not None and best[load] is not None:
                    reason += f" ({variant.label}: {results.times_best_peer(variant, load):.2f})"
                lines.append(Goal(name, _target(target, True, "{:.2f}"), reason, "not tried"))
                continue
            lines.append(
                _goal(
                    name,
                    results.times_best_peer(variant, load),
                    target,
                    least=True,
                    quiet=results.quiet_beside_best(variant, load),
                )
            )
    return lines


def _under_overload(results: Results) -> list[Goal]:
    over = results.overload
    if over is None:
        return [Goal("overload at 3 times the peak", "", "not measured", "not tried")]
    quiet = results.overload_quiet
    return [
        _goal("overload: goodput / peak", over.goodput / over.peak, 0.95, least=True, quiet=quiet),
        _goal(
            "overload: answers that are neither 200 nor 429",
            float(over.other),
            0,
            least=False,
            shown="{:.0f}",
            quiet=quiet,
        ),
        _goal(
            "overload: Retry-After right within a factor of two, share",
            over.retry_right,
            0.95,
            least=True,
            quiet=quiet,
        ),
        _goal(
            "overload: p99 of accepted / their deadline",
            over.p99 / over.deadline,
            1.0,
            least=False,
            quiet=quiet,
        ),
        _goal("overload: growth of resident memory", over.growth, 0.05, least=False, shown="{:.3f}"),
    ]
