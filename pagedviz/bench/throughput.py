"""Tokens per second against ``model.generate`` on the same prompts, and with recording on against off.

The two sides take turns within one run, because these machines drift: the ratio of each pair is what counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median
from typing import Any

import torch

from pagedviz.bench.peer import generate
from pagedviz.engine import Engine
from pagedviz.trace import record


@dataclass(frozen=True)
class ThroughputRow:
    """Generated tokens per second of wall time, prefill included.

    Attributes:
        batch: prompts at once.
        engine, generate: one value per round.
    """

    batch: int
    engine: tuple[float, ...]
    generate: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median over rounds of engine / generate."""
        return median(a / b for a, b in zip(self.engine, self.generate, strict=True))


@dataclass(frozen=True)
class RecordingRow:
    """Seconds for the same work, one value per round, with a recorder on the engine and without."""

    batch: int
    on: tuple[float, ...]
    off: tuple[float, ...]

    @property
    def slowdown(self) -> float:
        """Median over pairs of rounds of on / off - 1."""
        return median(a / b for a, b in zip(self.on, self.off, strict=True)) - 1


def throughput(
    engine: Engine, prompts: Sequence[Sequence[int]], max_tokens: int, batches: Sequence[int], rounds: int
) -> Iterator[ThroughputRow]:
    """Measure each batch size; the engine is recorded, as it would be with a dashboard."""
    for batch in batches:
        rows = list(islice(cycle(prompts), batch))
        ours, theirs = [], []
        _round(engine, rows, 4)  # compiles what compiles on first use
        for _ in range(rounds):
            ours_s, theirs_s = _round(engine, rows, max_tokens)
            ours.append(batch * max_tokens / ours_s)
            theirs.append(batch * max_tokens / theirs_s)
        yield ThroughputRow(batch, tuple(ours), tuple(theirs))


def _round(engine: Engine, rows: Sequence[Sequence[int]], max_tokens: int) -> tuple[float, float]:
    with record(engine):
        ours = _timed(lambda: _ours(engine, rows, max_tokens))
    return ours, _timed(lambda: _theirs(engine.model, rows, max_tokens))


def recording(
    engine: Engine, prompts: Sequence[Sequence[int]], max_tokens: int, batch: int, rounds: int
) -> RecordingRow:
    """Measure what a recorder costs; the order within a pair alternates."""
    rows = list(islice(cycle(prompts), batch))
    _ours(engine, rows, 4)
    on, off = [], []

    def with_recorder() -> None:
        with record(engine):
            on.append(_timed(lambda: _ours(engine, rows, max_tokens)))

    def without() -> None:
        off.append(_timed(lambda: _ours(engine, rows, max_tokens)))

    for number in range(rounds):
        for side in (with_recorder, without) if number % 2 else (without, with_recorder):
            side()
    return RecordingRow(batch, tuple(on), tuple(off))


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _ours(engine: Engine, rows: Sequence[Sequence[int]], max_tokens: int) -> None:
    engine.generate([list(row) for row in rows], max_tokens=max_tokens, temperature=0.0, ignore_eos=True)


def _theirs(model: Any, rows: Sequence[Sequence[int]], max_tokens: int) -> None:
    """One padded batch: what a user of ``generate`` does with several prompts."""
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows], device=model.device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=model.device)
    generate(model, ids, mask, max_tokens)
