"""How soon content is used again: reuse distances, and the hit rate that an LRU cache of any size would have.

After Mattson, Gecsei, Slutz and Traiger, "Evaluation techniques for storage hierarchies", IBM Systems Journal 9(2),
1970: the distance of a use is the number of other distinct contents used since the same content was used last, and
an LRU cache of c blocks hits exactly the uses whose distance is below c. One pass gives all sizes at once.

A content is a full block's hash in its layer group. It is used when a request's prompt asks for it, whether it is
found (``PrefixHit``) or has to be computed (``BlockFilled``). Content that was generated, or computed again after a
preemption, is used then too, but nobody asked the cache for it: it counts as something in between, not as a use
with a distance of its own. What happened before the trace began is unknown.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from pagedviz.events import AnyEvent, BlockFilled, PrefixHit
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import State

if TYPE_CHECKING:
    from pagedviz.trace.trace import Trace

FIRST = -1
"""The distance of content that was not used before."""


class Use(NamedTuple):
    """A content was used. ``asked``: a prompt looked for it, so that a cache could have had it."""

    step: int
    content: Hashable
    asked: bool


class _Uses:
    """Collects uses as a state takes events in."""

    def __init__(self, state: State) -> None:
        self.found: list[Use] = []
        self._asked: dict[tuple[str, int], int] = {}
        """(request, group) -> how many blocks of its prompt were asked for so far."""
        for sequence in state.sequences.values():
            done = sequence.computed // state.block_size
            for group in sequence.tables:
                key = (sequence.request, group)
                self._asked[key] = max(done, self._asked.get(key, 0))

    def look(self, state: State, event: AnyEvent) -> None:
        match event:
            case PrefixHit():
                for group, logical, (tier, block) in state.sequences[event.sequence].entries():
                    if logical < event.blocks:
                        self._use(state, event.sequence, group, logical, state.blocks[tier][block].hash)
            case BlockFilled():
                # What came up from the host has its name already, and is part of a hit.
                if state.blocks[event.tier][event.block].hash != event.hash:
                    self._use(state, event.sequence, event.group, event.logical, event.hash)
            case _:
                pass

    def _use(self, state: State, number: int, group: int, logical: int, name: str) -> None:
        sequence = state.sequences[number]
        key = (sequence.request, group)
        # The last token of a prompt is always computed, so the block that it fills is never asked for.
        asked = self._asked.get(key, 0) <= logical < (sequence.num_prompt - 1) // state.block_size
        if asked:
            self._asked[key] = logical + 1
        self.found.append(Use(state.step, (group, name), asked))


def content_uses(trace: Trace) -> list[Use]:
    """All uses of full blocks' contents, in order.

    Raises:
        TraceFormatError: an event contradicts what came before.
    """
    state = trace.start.copy()
    uses = _Uses(state)
    for batch in trace.batches:
        apply_batch(state, batch, uses.look)
    return uses.found


def stack_distances(contents: Iterable[Hashable]) -> list[int]:
    """For each use, how many other distinct contents were used since its last one; ``FIRST`` if it had none."""
    found = list(contents)
    latest = _Sums(len(found))  # 1 where a content was used last
    last: dict[Hashable, int] = {}
    distances = []
    for index, content in enumerate(found):
        before = last.get(content)
        if before is None:
            distances.append(FIRST)
        else:
            distances.append(len(last) - latest.up_to(before))
            latest.add(before, -1)
        latest.add(index, 1)
        last[content] = index
    return distances


class _Sums:
    """Prefix sums of numbers that change (a Fenwick tree)."""

    def __init__(self, size: int) -> None:
        self._tree = [0] * (size + 1)

    def add(self, index: int, amount: int) -> None:
        index += 1
        while index < len(self._tree):
            self._tree[index] += amount
            index += index & -index

    def up_to(self, index: int) -> int:
        index, total = index + 1, 0
        while index:
            total += self._tree[index]
            index &= index - 1
        return total


def reuse_distances(trace: Trace) -> list[int]:
    """The distance of every use that a prompt asked for, in order; ``FIRST`` where there was no use before.

    Raises:
        TraceFormatError: an event contradicts what came before.
    """
    uses = content_uses(trace)
    distances = stack_distances(use.content for use in uses)
    return [distance for use, distance in zip(uses, distances, strict=True) if use.asked]
