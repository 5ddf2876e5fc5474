"""Which block and which sequence an event is about, and which of them there are."""

from __future__ import annotations

from collections.abc import Mapping

from pagedviz.errors import ConfigError
from pagedviz.events import AnyEvent, Event
from pagedviz.values import is_whole

_BLOCK_FIELDS = ("block", "source", "target")
_SEQUENCE_FIELDS = ("sequence", "parent", "child")


def touches_block(event: AnyEvent, tier: str, block: int) -> bool:
    """True if the event is about this block of this tier."""
    pairs = getattr(event, "pairs", None)
    if pairs is not None:
        from_device = type(event).__name__ == "SwappedOut"
        side = int((tier == "device") != from_device)
        return any(pair[side] == block for pair in pairs)
    return getattr(event, "tier", None) == tier and any(
        getattr(event, name, None) == block for name in _BLOCK_FIELDS
    )


def touches_sequence(event: AnyEvent, sequence: int) -> bool:
    """True if the event is about this sequence."""
    return sequence in getattr(event, "sequences", ()) or any(
        getattr(event, name, None) == sequence for name in _SEQUENCE_FIELDS
    )


def check_block(block: int, tier: str | None, sizes: Mapping[str, int]) -> tuple[str, int]:
    """The tier and the block, if there is such a block.

    Raises:
        ConfigError: there is none.
    """
    tier = "device" if tier is None else tier
    if not isinstance(tier, str) or tier not in sizes:
        raise ConfigError(f"tier={tier!r} is unknown; valid: {', '.join(map(repr, sizes))}")
    size = sizes[tier]
    if not is_whole(block) or not 0 <= block < size:
        valid = f"must be a whole number from 0 to {size - 1}" if size else "the tier has no blocks"
        raise ConfigError(f"block={block!r} of tier {tier!r}: {valid}")
    return tier, int(block)


def check_kind(kind: type[Event] | None, place: tuple[str, int] | None, sequence: int | None) -> None:
    """Refuse a kind that is never about a block, or a sequence: it would be waited for in vain.

    Raises:
        ConfigError: it is not about what is asked for.
    """
    if kind is None:
        return
    fields = kind.__struct_fields__
    if place is not None and not {*_BLOCK_FIELDS, "pairs"} & {*fields}:
        raise ConfigError(f"kind={kind.__name__!r} touches no block: leave block out")
    if sequence is not None and not {*_SEQUENCE_FIELDS, "sequences"} & {*fields}:
        raise ConfigError(f"kind={kind.__name__!r} names no sequence: leave sequence out")
