"""Who may wait: bounded in tokens, and refused at once where the wait would outlast the deadline.

All predictions are in seconds by each lane's measured speed. A refusal that a later attempt can cure is
QueueFull (with when to come back), one that no idle engine could answer in time is DeadlineExceeded.

Where nothing waits or runs, nobody is refused: a measured speed that is wrong, as after a stall of the host,
is only mended by another batch.

A newcomer may find at most half of its time taken by what waits. The other half is for what nobody can
predict, such as a neighbour that takes the CPU, and for the further stages of a request. Without it, in a
full queue every request would end at the very edge of its deadline, and in each slower moment the engine
would compute what comes too late.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.scheduler.engine import RequestContext
from app.scheduler.errors import BadItem, DeadlineExceeded, QueueFull
from app.scheduler.lane import Call, Entry, Lane
from app.scheduler.queue import BatchQueue
from app.text.sequence import TokenSequence

RETRY_AFTER_LEAST = 0.1
WAIT_SHARE = 0.5
"""Of the time that a newcomer has left: what it may be predicted to wait."""
LATEST_SHARE = 0.75
"""Of the time that a row has left: when it is served in its turn, however badly it fits its neighbours."""


@dataclass(frozen=True, slots=True)
class Load:
    """How things stand when a request arrives.

    Attributes:
        now: seconds, on the scheduler's clock.
        turn: the same moment on the fair clock.
        limit: tokens that may wait or run at once.
        pending_tokens: that do.
        engaged_seconds: what the engine needs for the batches that it runs or holds ready.
    """

    now: float
    turn: float
    limit: int
    pending_tokens: int
    engaged_seconds: float


def check_lengths(lane: Lane, sequences: Sequence[TokenSequence]) -> None:
    """Rows that can never run must not take part in any planning.

    Raises:
        BadItem: a row is empty or longer than the graph takes.
    """
    longest = lane.session.max_tokens
    for sequence in sequences:
        if not 0 < len(sequence) <= longest:
            raise BadItem(f"a row of {len(sequence)} tokens; {lane.model} takes 1 to {longest}")


def admit(load: Load, queue: BatchQueue, lane: Lane, sizes: Sequence[int], context: RequestContext) -> float:
    """Predicted seconds until the engine turns to a request's rows of so many tokens (``sizes``).

    A request that was let in before, and comes with its next stage, is asked only whether it can be in time.

    Raises:
        QueueFull: the queue has no room, or holds too much for the deadline.
        DeadlineExceeded: something waits or runs, and even an idle engine would answer too late.
    """
    deadline, newcomer, tokens = context.deadline, context.turn is None, sum(sizes)
    wait = load.engaged_seconds + queue.seconds()
    # A request larger than the whole queue could never be served; alone it may pass.
    if newcomer and load.pending_tokens and load.pending_tokens + tokens > load.limit:
        raise QueueFull(
            f"{load.pending_tokens} tokens wait and at most {load.limit} may; try again in {wait:.1f} s",
            max(wait, RETRY_AFTER_LEAST),
        )
    if deadline is None or not load.pending_tokens:
        return wait
    own = tokens * lane.seconds_per_token
    left = deadline - load.now
    longest = min(left - own, left * WAIT_SHARE if newcomer else left)
    if wait <= longest:
        return wait
    if own > left:
        raise DeadlineExceeded(
            f"the engine needs about {own:.1f} s for this request, which has {max(left, 0.0):.1f} s left; "
            "ask for less at a time"
        )
    # Rows whose turn comes after that of our last do not stand in the way: count again, exactly.
    last = first_turn(load, context) + (tokens - sizes[-1]) * lane.seconds_per_token
    wait = load.engaged_seconds + queue.seconds_before(last)
    if wait <= longest:
        return wait
    raise QueueFull(
        f"about {wait:.1f} s of work waits, too much for this request's deadline; try again later",
        max(wait, RETRY_AFTER_LEAST),
    )


def first_turn(load: Load, context: RequestContext) -> float:
    """When the next rows of a request have their turn: now, or when its earlier rows would have let them."""
    return load.turn if context.turn is None else min(load.turn, context.turn)


def enqueue(
    lane: Lane,
    sequences: Sequence[TokenSequence],
    context: RequestContext,
    load: Load,
    wait: float,
    age_limit: float,
) -> Call:
    """The rows of a request that was admitted with a predicted ``wait``, each with its turn.

    A row is due when it has waited twice as long as predicted, and longer than ``age_limit``; but with time
    left before its deadline.
    """
    call = Call(context, results=[None] * len(sequences), remaining=len(sequences))
    before, turn = 0.0, first_turn(load, context)
    latest = math.inf
    if context.deadline is not None:
        latest = load.now + LATEST_SHARE * (context.deadline - load.now)
    for index, sequence in enumerate(sequences):
        size = len(sequence)
        due = min(latest, load.now + max(age_limit, 2 * (wait + before)))
        call.entries.append(Entry(call, lane, index, sequence, size, load.now, turn + before, due))
        before += size * lane.seconds_per_token
    context.turn = turn + before
    return call
