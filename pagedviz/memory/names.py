"""What the full blocks of each sequence are called, and which sequences may name none to others.

Knows contents only: neither blocks nor tables. What a name is made of is decided in ``content``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from pagedviz.memory.content import chained_hashes


class Names:
    """Names of full blocks, by sequence.

    A sequence is *withheld* when what it has in memory is not to be found by others: it began before the cache was
    reset, or something in it is wrong. Its blocks have names all the same, since those that follow build on them.
    """

    def __init__(self, block_size: int) -> None:
        self._block_size = block_size
        self._hashes: dict[int, list[str]] = {}
        self._withheld: set[int] = set()

    def __len__(self) -> int:
        """Sequences of which anything is kept."""
        return len(self._hashes.keys() | self._withheld)

    def of(self, sequence: int) -> Sequence[str]:
        """The names by which others may find its full blocks; none if it is withheld."""
        return () if sequence in self._withheld else self._hashes.get(sequence, ())

    def count(self, sequence: int) -> int:
        """How many of its blocks have names."""
        return len(self._hashes.get(sequence, ()))

    def extend(self, sequence: int, tokens: Sequence[int], computed: int, salt: str) -> Sequence[str]:
        """Name what became full: ``tokens[:computed]`` are in memory. Returns the names of all its full blocks."""
        hashes = self._hashes.setdefault(sequence, [])
        hashes += chained_hashes(tokens, self._block_size, computed, hashes, salt)
        return hashes

    def found(self, sequence: int, names: Sequence[str]) -> None:
        """The sequence begins with blocks of these names."""
        self._hashes[sequence] = list(names)

    def fork(self, parent: int, child: int, blocks: int) -> None:
        """The child begins with the parent's first full blocks."""
        self._hashes[child] = self._hashes.get(parent, [])[:blocks]
        if parent in self._withheld:
            self._withheld.add(child)

    def withheld(self, sequence: int) -> bool:
        """Whether its blocks are not to be found by others."""
        return sequence in self._withheld

    def withhold(self, sequences: Iterable[int]) -> None:
        """Let nobody find what these have in memory, nor what they will have."""
        self._withheld.update(sequences)

    def distrust(self, contents: AbstractSet[str]) -> None:
        """Withhold every sequence that has such content."""
        self.withhold(sequence for sequence, own in self._hashes.items() if not contents.isdisjoint(own))

    def forget(self, sequence: int) -> None:
        """The sequence has no blocks any more."""
        self._hashes.pop(sequence, None)
        self._withheld.discard(sequence)
