"""What a benchmark is for ``pagedviz bench``. Measures nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import Any, NamedTuple

Rows = tuple[list[dict[str, Any]], bool]
"""What was measured, and whether it is as it must be."""


class Benchmark(NamedTuple):
    """A benchmark: its options, what measures it (its docstring is its help), and how long that takes.

    ``heads`` are titles of columns whose names do not say their unit.
    """

    add_arguments: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace], Rows]
    takes: str
    heads: dict[str, str] | None = None


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
