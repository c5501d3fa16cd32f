"""The table that a build prints: what each source gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COLUMNS = {
    "documents": "documents",
    "heldout_documents": "held out",
    "tokens": "tokens",
    "characters": "characters",
    "duplicates_exact": "duplicates",
    "duplicates_near": "near",
    "short": "short",
    "broken_lines": "broken",
    "malformed_rows": "malformed",
}


def summary_table(sources: Mapping[str, Mapping[str, Any]]) -> str:
    """One line per source (name -> counts) and a total, then the first few problems with file and line."""
    rows = [["source", "weight", *_COLUMNS.values()]]
    for name, counts in sources.items():
        rows.append([name, f"{counts['weight']:g}", *(f"{counts[key]:,}" for key in _COLUMNS)])
    rows.append(["total", "", *(f"{sum(counts[key] for counts in sources.values()):,}" for key in _COLUMNS)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(cells)
        )
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    lines += [f"  {example}" for counts in sources.values() for example in counts["examples"]]
    return "\n".join(lines)
