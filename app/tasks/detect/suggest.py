"""Repairs for flagged spans: the generator proposes, the discriminator judges.

For each window with flagged spans the generator reads one row in which all of those spans are masked, and
proposes candidates at every masked position. The discriminator then reads a few rows, the *k*-th with every
span of the window replaced by its *k*-th candidate: so a window costs one generator pass and one
discriminator pass (of one batch) however many spans it holds, and the first row is the repair that the
generator likes best as a whole. A candidate's score is the generator's probability times the
discriminator's belief in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from app.runtime.batch import Outputs
from app.scheduler.engine import RequestContext
from app.tasks.detect.calibration import replaced_probabilities, temperature_of
from app.tasks.detect.candidates import Candidate, piece_table, propose
from app.tasks.detect.places import Place
from app.tasks.detect.results import Suggestion
from app.tasks.helpers import check_wanted, help_out
from app.tasks.model import ServedModel
from app.text.sequence import TokenSequence

FEWEST_CANDIDATES = 5
"""Candidates judged even when fewer are asked for, so that the discriminator has a choice."""

POSITIONS_PER_CALL = 256
WINDOWS_PER_CALL = 8
"""Bounds on one engine call: the generator answers with a whole vocabulary for every masked position."""

Members = list[tuple[int, Place]]
"""The places of one window, each with its index in the caller's list."""


async def suggest(
    model: ServedModel,
    places: Sequence[Place],
    count: int,
    context: RequestContext,
    *,
    sound_alike: bool = False,
    shape_alike: bool = False,
) -> list[list[Suggestion]]:
    """At most ``count`` suggestions for each of ``places``, best first; fewer where fewer fit.

    ``sound_alike`` multiplies in how like a Chinese candidate sounds to what stands there, ``shape_alike``
    how like it looks; with both, the higher of the two.

    Raises:
        ServiceError: from the engine.
    """
    suggestions: list[list[Suggestion]] = [[] for _ in places]
    temperature = temperature_of(model)
    windows: dict[tuple[int, int], Members] = {}
    for index, place in enumerate(places):
        windows.setdefault(place.window, []).append((index, place))
    for group in _calls(list(windows.values())):
        masked = [_masked_row(model, members) for members in group]
        outputs = await model.engine.infer(masked, context, graph="generator")
        # A softmax over the vocabulary for every masked position: too long for the event loop.
        proposed = await help_out(
            0, _propose_all, model, group, outputs, max(count, FEWEST_CANDIDATES), sound_alike, shape_alike
        )
        rows = [_repaired_rows(model, members, proposed) for members in group]
        judged = iter(await model.engine.infer([row for window in rows for row in window], context))
        for members, window_rows in zip(group, rows, strict=True):
            verdicts = [
                replaced_probabilities(output["logits"][1:-1], temperature)
                for output in islice(judged, len(window_rows))
            ]
            for index, place in members:
                suggestions[index] = _rank(place, proposed[index], verdicts)[:count]
    return suggestions


def _calls(windows: Sequence[Members]) -> list[list[Members]]:
    """Group windows so that each engine call stays within its bounds."""
    groups: list[list[Members]] = []
    positions = 0
    for members in windows:
        mine = sum(len(place.positions) for _, place in members)
        if groups and len(groups[-1]) < WINDOWS_PER_CALL and positions + mine <= POSITIONS_PER_CALL:
            groups[-1].append(members)
            positions += mine
        else:
            groups.append([members])
            positions = mine
    return groups


def _masked_row(model: ServedModel, members: Members) -> TokenSequence:
    positions = np.concatenate([place.positions for _, place in members])
    ids = members[0][1].window_ids.copy()
    ids[positions] = model.encoder.special_tokens.mask
    return model.encoder.sequence(ids, positions=positions)


def _propose_all(
    model: ServedModel,
    group: Sequence[Members],
    outputs: Sequence[Outputs],
    count: int,
    sound_alike: bool,
    shape_alike: bool,
) -> dict[int, list[Candidate]]:
    """Candidates by the place's index in the caller's list."""
    table = piece_table(model.encoder)
    proposed: dict[int, list[Candidate]] = {}
    for members, output in zip(group, outputs, strict=True):
        check_wanted()
        start = 0
        for index, place in members:
            end = start + len(place.positions)
            logits = output["logits"][start:end]
            proposed[index] = propose(
                table, place, logits, count, sound_alike=sound_alike, shape_alike=shape_alike
            )
            start = end
    return proposed


def _repaired_rows(
    model: ServedModel, members: Members, proposed: dict[int, list[Candidate]]
) -> list[TokenSequence]:
    """The window with every span replaced by its first candidate, by its second, and so on.

    A span that runs out of candidates keeps its first, the likeliest neighbour for the others.
    """
    rows = []
    for rank in range(max(len(proposed[index]) for index, _ in members)):
        ids = members[0][1].window_ids.copy()
        for index, place in members:
            candidates = proposed[index]
            if candidates:
                ids[place.positions] = candidates[rank if rank < len(candidates) else 0].ids
        rows.append(model.encoder.sequence(ids))
    return rows


def _rank(
    place: Place, candidates: Sequence[Candidate], verdicts: Sequence[npt.NDArray[np.float64]]
) -> list[Suggestion]:
    """Candidates with the discriminator's word on each; ``verdicts[k]`` is about row ``k``."""
    suggestions = []
    for candidate, probabilities in zip(candidates, verdicts, strict=False):
        replaced = float(probabilities[place.positions].max())
        suggestions.append(
            Suggestion(
                text=candidate.text,
                score=candidate.probability * candidate.prior * (1.0 - replaced),
                delta=place.score - replaced,
            )
        )
    return sorted(suggestions, key=lambda suggestion: -suggestion.score)
