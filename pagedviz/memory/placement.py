"""Which tier an evicted block goes to: down to the host, or nowhere. A plug-in with one question."""

from __future__ import annotations

from typing import ClassVar, Protocol

from pagedviz.memory.eviction import CachedBlock
from pagedviz.memory.plugin import check_choice


class Placement(Protocol):
    """Decides for a block that the device evicts. ``name`` and ``summary`` are for people."""

    name: ClassVar[str]
    summary: ClassVar[str]

    def keeps(self, block: CachedBlock) -> bool:
        """True if its content goes down to the host tier, where there is room or something may be evicted."""

    def explain(self, block: CachedBlock) -> str:
        """Why the block goes down or does not, for a person; the event of its eviction tells it."""


class Always:
    """Everything goes down (as HiCache's ``write_back``)."""

    name: ClassVar[str] = "always"
    summary: ClassVar[str] = "every evicted block goes down to the host tier"

    def keeps(self, block: CachedBlock) -> bool:  # noqa: ARG002 - the protocol's shape
        """True."""
        return True

    def explain(self, block: CachedBlock) -> str:  # noqa: ARG002 - the protocol's shape
        """In words."""
        return "it goes down to the host tier, as all do"


class Never:
    """Nothing goes down: the host tier is for swapped sequences only."""

    name: ClassVar[str] = "never"
    summary: ClassVar[str] = "no evicted block goes down to the host tier"

    def keeps(self, block: CachedBlock) -> bool:  # noqa: ARG002 - the protocol's shape
        """False."""
        return False

    def explain(self, block: CachedBlock) -> str:  # noqa: ARG002 - the protocol's shape
        """In words."""
        return "it is given up, as all are"


class Reused:
    """Blocks that were hit go down (as HiCache's ``write_through_selective``)."""

    name: ClassVar[str] = "reused"
    summary: ClassVar[str] = "evicted blocks that were found at least once go down to the host tier"

    def keeps(self, block: CachedBlock) -> bool:
        """True for a block with a hit."""
        return block.hits > 0

    def explain(self, block: CachedBlock) -> str:
        """In words."""
        if not block.hits:
            return "it is given up: it was never found"
        times = "once" if block.hits == 1 else f"{block.hits} times"
        return f"it goes down to the host tier: it was found {times}"


PLACEMENTS: dict[str, type[Placement]] = {policy.name: policy for policy in (Always, Never, Reused)}


def make_placement(choice: str | Placement) -> Placement:
    """The policy of that name, or the object itself.

    Raises:
        ConfigError: there is no such policy, or the object lacks a method or has it with other arguments.
    """
    check_choice("placement", choice, PLACEMENTS, {"keeps": ["block"], "explain": ["block"]})
    return PLACEMENTS[choice]() if isinstance(choice, str) else choice
