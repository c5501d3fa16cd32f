"""The results as Markdown, and their place in the document: between two markers, the rest left alone."""

from __future__ import annotations

import math
from pathlib import Path

from training.bench.serve.figures import median
from training.bench.serve.goals import MEGABYTE, goals
from training.bench.serve.results import MILLISECOND, Results, Row, Variant
from training.errors import UserError
from training.files import atomic_file

BEGIN, END = "<!-- bench-serve: begin -->", "<!-- bench-serve: end -->"


def render(results: Results) -> str:
    """All tables."""
    parts = [_machine(results), _table(results), _goals(results), _bounds(results), _notes(results)]
    return "\n\n".join(part for part in parts if part)


def write_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers of ``path``.

    Raises:
        UserError: the file or its markers are missing.
    """
    try:
        old = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: is missing; write it with the lines {BEGIN} and {END}") from None
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{path}: lacks the lines {BEGIN} and {END}; add them where the tables belong")
    with atomic_file(path, "w", encoding="utf-8") as stream:
        stream.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def _machine(results: Results) -> str:
    machine = results.machine
    return (
        f"{machine.date}, {machine.processor}, {machine.cpus} CPUs, {machine.vectors}, "
        f"{'with' if machine.amx else 'without'} AMX, {machine.memory_bytes / 1e9:.0f} GB; "
        f"{machine.software}. "
        f"Model: {results.model}. {results.rounds} rounds of {results.seconds:g} s a cell. A run was "
        f"discarded and repeated when the fixed matrix multiply around it was more than "
        f"{results.noise_limit:.0%} slower than in the quietest moment, or other processes used more than "
        f"that share of the CPUs: {results.discarded} times; cells marked ~ were disturbed in at least half "
        f"of the rounds all the same."
    )


def _table(results: Results) -> str:
    lines = [
        "| server | 64 tokens, texts/s | ratio | p50 / p99 ms | mix 16..384, texts/s | ratio | p50 / p99 ms "
        "| one client, p50 ms | 32 texts a request, texts/s | CPU ms a text of 64 tokens | of the mix "
        "| peak memory MB | wrong answers |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    best = {load: results.best_peer(load) for load in ("short", "mix")}
    for row in [*results.variants, *results.peers]:
        if row.failed:
            lines.append(f"| {row.name} | not measured: {row.failed} | | | | | | | | | | | |")
            continue
        cells = []
        for load in ("short", "mix"):
            ratio = _over(row, load, best[load])
            cells += [_rate(row, load), ratio, f"{_ms(row, load, 'p50')} / {_ms(row, load, 'p99')}"]
        cells += [_ms(row, "alone", "p50", digits=1), _rate(row, "lists")]
        cells += [_number(row.of(load, "cpu_ms"), "{:.1f}") for load in ("short", "mix")]
        cells.append(_number(median([float(peak) for peak in row.peak_bytes]) / MEGABYTE, "{:.0f}"))
        checked = sum(cell.checked for cell in row.all_cells())
        cells.append(f"{sum(cell.wrong for cell in row.all_cells())} of {checked}")
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    for variant in results.variants:
        cells = [_number(variant.ceiling(), "{:.0f}"), "", "", _number(variant.plan(), "{:.0f}"), "", ""]
        alone = median([ceiling.alone_seconds for ceiling in variant.ceilings]) / MILLISECOND
        cells += [_number(alone, "{:.1f}"), _number(variant.ceiling(), "{:.0f}")]
        cells += [_number(median([ceiling.cpu_ms for ceiling in variant.ceilings]), "{:.1f}"), "", "", ""]
        lines.append(f"| *{variant.label} alone, no service* | " + " | ".join(cells) + " |")
        both = _number(median([ceiling.together for ceiling in variant.ceilings]), "{:.0f}")
        lines.append(f"| *the same, two batches at once* | {both} | | | | | | | {both} | | | | |")
    return "\n".join(lines) + "\n\nRatios are to the best peer of that column, taken within each round."


def _goals(results: Results) -> str:
    lines: list[str] = []
    cells = [cell for row in [*results.variants, *results.peers] for cell in row.all_cells()]
    noisy = sum(not cell.quiet for cell in cells)
    if noisy * 2 >= max(1, len(cells)):
        others = 100 * median([cell.others for cell in cells])
        lines += [
            f"**This machine was not quiet: {noisy} of {len(cells)} runs were disturbed, others used "
            f"{others:.0f} % of the CPUs in the median. Figures of speed and time below judge nothing; run "
            "it again.**",
            "",
        ]
    lines += ["| goal | target | measured | |", "| --- | --- | --- | --- |"]
    for goal in goals(results):
        state = f"**{goal.state}**" if goal.state == "missed" else goal.state
        lines.append(f"| {goal.name} | {goal.target} | {goal.measured} | {state} |")
    return "\n".join(lines)


def _bounds(results: Results) -> str:
    """Where the distance to the ceiling comes from."""
    lines = [
        "Served over ceiling is how many batches are computed at once in the mean, times the speed of each "
        "over that of a batch alone, times what the warm-up and the end of a run cost:",
        "",
        "| variant | load | served / alone | batches at once | speed of each / alone | "
        "driver, share of one "
        "core | others, share of all |",
        "| --- | --- | --: | --: | --: | --: | --: |",
    ]
    for variant in results.variants:
        for load, bound in (("short", "ceiling"), ("lists", "ceiling"), ("mix", "plan")):
            figures = [
                variant.ratio(load, bound),
                variant.of(load, "at_once"),
                variant.inside(load),
                variant.of(load, "driver"),
                variant.of(load, "others"),
            ]
            shown = " | ".join(_number(figure, "{:.2f}") for figure in figures)
            lines.append(f"| {variant.label} | {load} | {shown} |")
    return "\n".join(lines) if results.variants else ""


def _notes(results: Results) -> str:
    notes = []
    if results.overload:
        over = results.overload
        notes.append(
            f"Overload: {over.offered / over.peak:.1f} times the peak was offered; {over.refused:.0%} of the "
            f"requests got 429, each after {over.deadline:g} s at most; the truth was "
            f"{over.retry_ratio:.2f} times the Retry-After in the median; the driver used "
            f"{over.driver:.0%} of "
            "one core."
        )
    for row in [*results.variants, *results.peers]:
        example = next((cell.example for cell in row.all_cells() if cell.wrong), "")
        if example:
            notes.append(f"{row.name}, first wrong answer: `{example}`.")
    return "\n\n".join(notes)


def _over(row: Row, load: str, best: Row | None) -> str:
    if best is None:
        return ""
    pairs = zip(row.cells.get(load, []), best.cells.get(load, []), strict=False)
    return _number(median([ours.rate / theirs.rate for ours, theirs in pairs if theirs.rate]), "{:.2f}")


def _rate(row: Row, load: str) -> str:
    cells = row.cells.get(load, [])
    mark = "~" if cells and sum(not cell.quiet for cell in cells) * 2 >= len(cells) else ""
    return mark + _number(row.of(load, "rate"), "{:.0f}" if row.of(load, "rate") >= 20 else "{:.1f}")


def _ms(row: Row | Variant, load: str, figure: str, digits: int = 0) -> str:
    return _number(row.of(load, figure) / MILLISECOND, f"{{:.{digits}f}}")


def _number(value: float, shown: str) -> str:
    return "" if math.isnan(value) else shown.format(value)
