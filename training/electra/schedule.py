"""The learning rate, a pure function of the step."""

from __future__ import annotations


def learning_rate(
    step: int, peak: float, warmup_steps: int, total_steps: int, end_fraction: float = 0.0
) -> float:
    """Linear decay *times* linear warm-up, as google-research/electra has it (not warm-up *then* decay).

    ``step`` counts finished updates: the first update has rate 0 unless ``warmup_steps`` is 0.
    ``end_fraction`` of the peak is what decay ends at.
    """
    decay = end_fraction + (1 - end_fraction) * max(0.0, 1 - step / total_steps)
    warmup = min(1.0, step / warmup_steps) if warmup_steps > 0 else 1.0
    return peak * decay * warmup
