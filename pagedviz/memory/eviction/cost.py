"""Recompute cost times hit chance: GreedyDual-Size-Frequency for blocks, which all have the same size.

Cherkasova, "Improving WWW proxies performance with GreedyDual-Size-Frequency caching policy" (HP Labs, 1998):

    priority = inflation + frequency * cost / size

The inflation is the priority of the last victim, so that a block which was dear and wanted long ago ends as a
candidate too. Here the frequency is 1 + hits, the size is 1, and the cost is that of one token at this depth:

    cost = 1 + depth / EVEN_DEPTH

In one layer a token costs 2 * P operations for P weights, and 4 * W * depth for attention over the tokens
before it, where W is the width of all its heads. Both are even at a depth of P / (2 * W).
"""

from __future__ import annotations

from pagedviz.memory.eviction.base import Ranked
from pagedviz.memory.eviction.protocol import CachedBlock, of_candidates

EVEN_DEPTH = 3072
"""P / (2 * W) of SmolLM2-135M: 3,538,944 weights per layer, 9 heads of width 64. Greater for wider models."""


def cost(depth: int) -> float:
    """What recomputing a block costs that has ``depth`` tokens before it; 1 at the start of a sequence."""
    return 1 + depth / EVEN_DEPTH


class Cost(Ranked):
    """Evicts the block with the lowest priority; among equals the least recently used."""

    name = "cost"
    summary = "least recompute cost times hits goes first, old ones sooner (GreedyDual-Size-Frequency)"

    def __init__(self, capacity: int, seed: int = 0) -> None:
        super().__init__(capacity, seed)
        self._inflation = 0.0

    def rank(self, block: CachedBlock) -> float:
        """Its priority, from now until somebody holds it again."""
        return self._inflation + (1 + block.hits) * cost(block.depth)

    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: FBT001 - the protocol's
        """Take it out of the ranking; a victim's priority is the new inflation."""
        if evicted:
            self._inflation = max(self._inflation, self._ranking.rank(block.block))
        super().remove(block, evicted)

    def explain(self, block: int) -> str:
        """The numbers of its priority."""
        cached = self._ranking.block(block)
        return (
            f"cheapest to lose: found {cached.hits} times, {cached.depth} tokens before it, "
            f"priority {self._ranking.rank(block):.2f}, {of_candidates(len(self._ranking))}"
        )
