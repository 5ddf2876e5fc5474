"""How much of a sequence's tokens is in memory already, where, and why no more. Looks, and changes nothing.

A prefix is found block by block, as long as every group of layers has the block in some tier. At least one
token is left over: its logits are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pagedviz.memory.content import chained_hashes
from pagedviz.memory.tier import Tier


@dataclass(frozen=True)
class Prefix:
    """What was found of a sequence's tokens.

    Attributes:
        names: content hashes of all full blocks that were looked for.
        on_device: how many of the first blocks are on the device, in all groups.
        found: how many of the first blocks are in some tier; at least ``on_device``.
        missed: why the next one was not found; None if there is none.
    """

    names: tuple[str, ...]
    on_device: int
    found: int
    missed: str | None


class PrefixFinder:
    """Looks prefixes up in the tiers' caches; remembers the names of waiting sequences' blocks."""

    def __init__(self, device: Tier, host: Tier, block_size: int, num_groups: int) -> None:
        self._device, self._host = device, host
        self._block_size, self._num_groups = block_size, num_groups
        self._names: dict[int, tuple[int, tuple[str, ...]]] = {}

    def forget(self, sequence: int) -> None:
        """The sequence waits no more."""
        self._names.pop(sequence, None)

    def find(self, sequence: int, tokens: Sequence[int], salt: str = "") -> Prefix:
        """What of the tokens is in memory."""
        if self._device.cache is None:
            return Prefix((), 0, 0, None)
        names = self._names_of(sequence, tokens, salt)
        if not names:
            return Prefix((), 0, 0, "shorter than a block")
        on_device = found = 0
        for logical, content in enumerate(names):
            keys = [(group, content) for group in range(self._num_groups)]
            here = all(self._device.find(key) is not None for key in keys)
            if not here and not all(self._somewhere(key) for key in keys):
                break
            found += 1
            on_device += here and on_device == logical
        return Prefix(names, on_device, found, None if found == len(names) else self._why(names[found]))

    def _names_of(self, sequence: int, tokens: Sequence[int], salt: str) -> tuple[str, ...]:
        length, names = self._names.get(sequence, (-1, ()))
        if length != len(tokens):
            names = tuple(chained_hashes(tokens, self._block_size, len(tokens) - 1, (), salt))
            self._names[sequence] = (len(tokens), names)
        return names

    def _somewhere(self, key: tuple[int, str]) -> bool:
        return self._device.find(key) is not None or self._host.find(key) is not None

    def _why(self, content: str) -> str:
        """When and by which policy it was evicted the last time; it may have been computed again in between."""
        missing = [key for group in range(self._num_groups) if not self._somewhere(key := (group, content))]
        losses = [lost for key in missing for tier in (self._host, self._device) if (lost := tier.lost(key))]
        return "evicted at step {} by {}".format(*max(losses)) if losses else "no such prefix"
