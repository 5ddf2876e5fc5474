"""What a benchmark gives: rows of plain values. Decides how many values of one thing become columns."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

Rows = tuple[list[dict[str, Any]], bool]
"""What was measured, and whether it is as it must be."""


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """p20, p50 and p80."""
    if len(values) == 1:
        return (values[0],) * 3
    fifths = quantiles(values, n=5, method="inclusive")
    return fifths[0], median(values), fifths[3]


def spread(name: str, values: Sequence[float], digits: int) -> dict[str, float]:
    """p20, p50 and p80 of the values, as columns."""
    return {
        f"{name}_p{p}": round(value, digits) for p, value in zip((20, 50, 80), percentiles(values), strict=True)
    }


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over rounds of ours / theirs: machines drift, so values of the same round are compared."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))
