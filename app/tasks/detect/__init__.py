"""Replaced-token detection: which words of a text look as if they had been replaced, and by what."""

from app.tasks.detect.options import (
    DEFAULT_IGNORE,
    MAX_PROTECTED,
    MAX_SUGGESTIONS,
    DetectOptions,
    Granularity,
    ThresholdName,
)
from app.tasks.detect.results import Detection, ReplacedSpan, ReplacedToken, Suggestion
from app.tasks.detect.task import detect_replaced

__all__ = [
    "DEFAULT_IGNORE",
    "MAX_PROTECTED",
    "MAX_SUGGESTIONS",
    "DetectOptions",
    "Detection",
    "Granularity",
    "ReplacedSpan",
    "ReplacedToken",
    "Suggestion",
    "ThresholdName",
    "detect_replaced",
]
