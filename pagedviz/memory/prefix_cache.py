"""When two prefixes are one block: full blocks of one tier by the name of their content.

A name stands for a block's tokens, all tokens before them, and the group of layers (``content``), so equal
names mean equal K and V. Which idle block dies first is asked of an eviction policy, whose answer is not
trusted. Knows nothing of sequences, tables or events.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from pagedviz.errors import AuditError, PolicyError
from pagedviz.memory.eviction import CachedBlock, EvictionPolicy, Key
from pagedviz.memory.plugin import explanation, name_of


class PrefixCache:
    """The named blocks of a tier. *Idle* ones have no owner, and are the policy's candidates."""

    def __init__(self, policy: EvictionPolicy) -> None:
        self.policy = policy
        self._by_key: dict[Key, CachedBlock] = {}
        self._by_block: dict[int, CachedBlock] = {}
        self._idle: set[int] = set()
        self._serial = 0
        self._failure: BaseException | None = None

    @property
    def policy_name(self) -> str:
        """How the policy is called."""
        return name_of(self.policy)

    @property
    def num_idle(self) -> int:
        """How many named blocks nobody has."""
        return len(self._idle)

    @property
    def idle(self) -> set[int]:
        """The named blocks that nobody has."""
        return set(self._idle)

    @property
    def names(self) -> set[Key]:
        """What the tier has."""
        return set(self._by_key)

    def find(self, key: Key) -> CachedBlock | None:
        """The block with this content, if there is one."""
        return self._by_key.get(key)

    def entry(self, block: int) -> CachedBlock | None:
        """What is known of a block; None if it has no name."""
        return self._by_block.get(block)

    def is_idle(self, block: int) -> bool:
        """True if the block has a name, and no owner."""
        return block in self._idle

    def name(self, block: int, key: Key, depth: int, step: int, before: CachedBlock | None = None) -> CachedBlock:
        """Give an owned block the name ``key``, which no other block has.

        ``before``: the block of another tier that the content comes from, with its history. Only one tier names
        contents that come from none, so their numbers are unique.
        """
        if before is None:
            self._serial += 1
            entry = CachedBlock(block, key, depth, self._serial, step)
        else:
            entry = CachedBlock(block, key, depth, before.serial, before.born, hits=before.hits)
        self._by_key[key] = self._by_block[block] = entry
        return entry

    def unname(self, entry: CachedBlock) -> None:
        """Forget the name of a block that is not idle."""
        del self._by_key[entry.key], self._by_block[entry.block]

    def retire(self, entry: CachedBlock, step: int) -> None:
        """The block's last owner is gone: it may be evicted."""
        entry.used = step
        self._idle.add(entry.block)
        if self._failure is None:
            try:
                self.policy.add(entry)
            except BaseException as error:  # noqa: BLE001 - a plug-in may raise anything, and tables are changing
                self._failure = error

    def revive(self, entry: CachedBlock) -> None:
        """The block may not be evicted any more: somebody owns it again, or it is about to move."""
        self._idle.remove(entry.block)
        self._remove(entry, evicted=False)

    def victims(self, count: int) -> list[tuple[CachedBlock, str]]:
        """The policy's choice of ``count`` idle blocks, the first to go first, each with its explanation.

        Raises:
            PolicyError: it raised, or chose a block that it must not, or not ``count`` different ones.
        """
        who = f"eviction policy {self.policy_name!r}"
        if self._failure is not None:
            raise PolicyError(f"{who} failed before: {self._failure!r}; choose another one") from self._failure
        try:
            # One more is enough to see that there are too many, and an endless answer ends.
            chosen = list(islice(self.policy.victims(count), count + 1))
            different = len(set(chosen))
        except Exception as error:
            raise PolicyError(f"{who} raised {error!r} when asked for {count} blocks to evict") from error
        if len(chosen) != count or different != count:
            raise PolicyError(f"{who} chose {chosen}: asked for {count} different blocks")
        for block in chosen:
            if isinstance(block, CachedBlock):
                raise PolicyError(f"{who} chose {block!r}: must be a block id, which is its attribute block")
            if block not in self._idle:
                raise PolicyError(f"{who} chose block {block!r}, which is not one of {self._candidates()}")
        try:
            reasons = [self.policy.explain(block) for block in chosen]
        except Exception as error:
            raise PolicyError(f"{who} raised {error!r} when asked to explain its choice") from error
        return [
            (self._by_block[block], explanation("eviction policy", self.policy, reason))
            for block, reason in zip(chosen, reasons, strict=True)
        ]

    def set_back(self, step: int) -> None:
        """Count what was cached or used in a later step, which failed, to this one."""
        for entry in self._by_key.values():
            entry.born, entry.used = min(entry.born, step), min(entry.used, step)

    def evict(self, entry: CachedBlock) -> None:
        """Forget an idle block."""
        self._idle.remove(entry.block)
        del self._by_key[entry.key], self._by_block[entry.block]
        self._remove(entry, evicted=True)

    def clear(self) -> list[int]:
        """Forget every name; returns the blocks that were idle."""
        idle = sorted(self._idle)
        for block in idle:
            self.evict(self._by_block[block])
        self._by_key.clear()
        self._by_block.clear()
        return idle

    def change_policy(self, policy: EvictionPolicy) -> None:
        """Let another policy decide from now on; it learns of the idle blocks, the longest idle first.

        The one before forgets them, so that it may be the same one, or come back later.
        """
        idle = [self._by_block[block] for block in self._idle]
        for entry in idle:
            self.revive(entry)
        self.policy, self._failure = policy, None
        for entry in sorted(idle, key=lambda entry: (entry.used, -entry.depth, entry.serial)):
            self.retire(entry, entry.used)

    def _remove(self, entry: CachedBlock, *, evicted: bool) -> None:
        """A policy that fails here is not asked again; what it was told of has happened nevertheless."""
        if self._failure is None:
            try:
                self.policy.remove(entry, evicted)
            except BaseException as error:  # noqa: BLE001 - a plug-in may raise anything, and tables are changing
                self._failure = error

    def _candidates(self) -> str:
        shown = sorted(self._idle)[:12]
        more = len(self._idle) - len(shown)
        return f"the {len(self._idle)} blocks it may: {shown}{f' and {more} more' if more else ''}"

    def check(self, owned: Iterable[int]) -> None:
        """Compare names with owners.

        Raises:
            AuditError: an idle block is owned or has no name, or a named block is neither owned nor idle.
        """
        owners = set(owned)
        if self._idle & owners or self._idle - set(self._by_block):
            raise AuditError(f"idle blocks {sorted(self._idle)} are owned or have no name")
        if set(self._by_block) - owners - self._idle:
            raise AuditError(f"blocks {sorted(set(self._by_block) - owners - self._idle)} have a name only")
        if {entry.block for entry in self._by_key.values()} != set(self._by_block):
            raise AuditError("names and named blocks differ")
