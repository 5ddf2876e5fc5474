"""The second promise: the state rebuilt from the events equals the engine's own tables.

The auditor hears every batch, as any subscriber does, and folds it into a state. The only part of the
engine that knows ``trace``: events are compared with tables nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pagedviz.engine.request import Request
from pagedviz.errors import AuditError
from pagedviz.events import Batch
from pagedviz.memory import BlockManager
from pagedviz.memory.tier import Tier
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import State


class Auditor:
    """Keeps what the events say, for requests that have not finished."""

    def __init__(self, block_size: int, num_blocks: dict[str, int]) -> None:
        self._state = State(block_size, num_blocks)

    def __call__(self, batch: Batch) -> None:
        """Fold a batch in, and forget requests that finished: an engine may live for long."""
        apply_batch(self._state, batch)
        state = self._state
        for name in [name for name, request in state.requests.items() if request.status == "finished"]:
            for sequence in state.requests.pop(name).sequences:
                del state.sequences[sequence]

    @property
    def told(self) -> State:
        """What the events say now; to be read only."""
        return self._state

    def state(self) -> State:
        """A copy of what the events say now."""
        return self._state.copy()

    def check(self, requests: Iterable[Request], manager: BlockManager) -> None:
        """Compare tables with reference counts, and both with the events.

        Raises:
            AuditError: something differs; the message says what, with both values.
        """
        manager.check()
        requests = list(requests)
        _compare("requests", {request.id for request in requests}, set(self._state.requests))
        holders: dict[str, dict[int, list[tuple[int, int]]]] = {name: {} for name in manager.tiers}
        for request in requests:
            _compare(
                f"status of {request.id}",
                request.status.value,
                _status(self._state.requests[request.id].status),
            )
            for sequence in request.sequences:
                told = self._state.sequences[sequence.id]
                tier = manager.tier_of(sequence.id).name
                tables = [[(tier, block) for block in table] for table in manager.tables(sequence.id)]
                who = f"sequence {sequence.id}"
                _compare(f"tokens of {who}", sequence.tokens, told.tokens)
                if sequence.finish_reason is None:
                    _compare(f"computed tokens of {who}", sequence.computed, told.computed)
                entries = [told.tables.get(group, []) for group in range(manager.num_groups)]
                _compare(f"block tables of {who}", tables, entries)
                blocks = 0 if sequence.finish_reason else -(-sequence.computed // manager.block_size)
                _compare(f"length of the block tables of {who}", [len(t) for t in tables], [blocks] * len(tables))
                for table in tables:
                    for logical, (_, block) in enumerate(table):
                        holders[tier].setdefault(block, []).append((sequence.id, logical))
        for name, found in holders.items():
            self._check_tier(manager.tiers[name], found)
        held = {sequence for found in holders.values() for who_ in found.values() for sequence, _ in who_}
        _compare("sequences with blocks", set(manager.sequences()), held)

    def _check_tier(self, tier: Tier, holders: dict[int, list[tuple[int, int]]]) -> None:
        blocks = self._state.blocks.get(tier.name, {})
        told = {id_: sorted(block.holders) for id_, block in blocks.items() if block.holders}
        _compare(f"holders of {tier.name} blocks", {id_: sorted(found) for id_, found in holders.items()}, told)
        idle = {} if tier.cache is None else {id_: tier.cache.entry(id_) for id_ in tier.cache.idle}
        names = {id_: entry.key for id_, entry in idle.items() if entry is not None}
        cached = {id_: (block.group, block.hash) for id_, block in blocks.items() if not block.holders}
        _compare(f"cached {tier.name} blocks", names, cached)
        _compare(f"free {tier.name} blocks", tier.pool.num_free, self._state.num_free(tier.name))


def _status(told: str) -> str:
    return "waiting" if told == "preempted" else told


def _compare(what: str, own: Any, told: Any) -> None:
    if own != told:
        raise AuditError(f"{what}: the engine has {own}, the events say {told}")
