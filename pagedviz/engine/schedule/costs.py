"""Swap or recompute: which costs less, by speeds measured on this machine. Decides for one victim at a time.

Swapping costs its bytes twice, out and in, over the speed of copies between the tiers; recomputing costs the
tokens over the speed of prefill. The paper (section 7.3) finds recomputation better for small blocks only
because PCIe copies are slow when they are small; here both speeds are what was seen.
"""

from __future__ import annotations

_WEIGHT = 0.3
"""Of the newest measurement in the running mean."""


class CostModel:
    """Running means of the two speeds; None until there was something to measure."""

    def __init__(self) -> None:
        self._bytes_per_us: float | None = None
        self._tokens_per_us: float | None = None

    def saw_copy(self, num_bytes: int, duration_us: int) -> None:
        """A copy between the tiers took so long."""
        if num_bytes:
            self._bytes_per_us = _mean(self._bytes_per_us, num_bytes / max(1, duration_us))

    def saw_prefill(self, tokens: int, duration_us: int) -> None:
        """A step that computed so many prompt tokens, and nothing else, took so long."""
        if tokens:
            self._tokens_per_us = _mean(self._tokens_per_us, tokens / max(1, duration_us))

    def choose(self, num_bytes: int, tokens: int) -> tuple[str, str]:
        """``"swap"`` or ``"recompute"``, and why.

        Args:
            num_bytes: what would be copied out.
            tokens: what would be computed again.
        """
        if self._tokens_per_us is None or self._bytes_per_us is None:
            return "swap", "no speeds are measured yet"
        swap_us = 2 * num_bytes / self._bytes_per_us
        recompute_us = tokens / self._tokens_per_us
        words = f"swapping takes about {swap_us / 1000:.1f} ms, computing again {recompute_us / 1000:.1f} ms"
        return ("swap" if swap_us <= recompute_us else "recompute"), words


def _mean(before: float | None, now: float) -> float:
    return now if before is None else (1 - _WEIGHT) * before + _WEIGHT * now
