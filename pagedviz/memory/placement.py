"""Which tier an evicted block goes to: down to the host, or nowhere. A plug-in with one question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from pagedviz.errors import PolicyError
from pagedviz.memory.eviction import CachedBlock
from pagedviz.memory.plugin import check_choice, explanation, name_of

Choice = tuple[CachedBlock, str]
"""A block that is evicted, and why."""


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


def divide(chosen: Sequence[Choice], placement: Placement, room: int) -> tuple[list[Choice], list[Choice]]:
    """Which of the evicted blocks keep their content in the host tier, and which lose it; each with the reason why.

    Args:
        chosen: evicted blocks with the reasons for that, the first to go first.
        placement: is asked of one after the other, the last one first, while there is room.
        room: blocks that the host tier has for them.

    Raises:
        PolicyError: the placement raised, or explained its decision with what is no text.
    """
    kept: list[Choice] = []
    lost: list[Choice] = []
    for entry, why in reversed(chosen):
        if len(kept) == room:
            lost.append((entry, f"{why}; it is given up: the host tier is full"))
        else:
            keeps, words = _ask(placement, entry)
            (kept if keeps else lost).append((entry, f"{why}; {words}"))
    return kept[::-1], lost[::-1]


def _ask(placement: Placement, entry: CachedBlock) -> tuple[bool, str]:
    try:
        keeps, words = bool(placement.keeps(entry)), placement.explain(entry)
    except Exception as error:
        raise PolicyError(f"placement policy {name_of(placement)!r} raised {error!r}") from error
    return keeps, explanation("placement policy", placement, words)
