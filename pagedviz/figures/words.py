"""Names and numbers for people: a sequence's letter, what is new about a block, bytes, counts, harmless text."""

from __future__ import annotations

import unicodedata

from pagedviz.trace import Block, State
from pagedviz.trace.state import Entry, Eviction


def letter(sequence: int) -> str:
    """The letters that name a sequence: 0 is A, 25 is Z, 26 is AA."""
    name, rest = "", sequence + 1
    while rest > 0:
        rest, digit = divmod(rest - 1, 26)
        name = chr(ord("A") + digit) + name
    return name or str(sequence)


def owners(block: Block) -> str:
    """Who has the block, in letters: ``A``, ``AB``, ``A+4``; nothing if it is only cached."""
    if not block.holders:
        return ""
    first, *others = dict.fromkeys(sequence for sequence, _ in block.holders)
    if len(others) > 1:
        return f"{letter(first)}+{len(others)}"
    return "".join(letter(sequence) for sequence in (first, *others))


def place(entry: Entry | None) -> str:
    """Where an entry of a block table leads: ``7``, ``h7`` in the host tier, a dash if it is absent."""
    if entry is None:
        return "\u2013"
    tier, block = entry
    return f"{'' if tier == 'device' else 'h'}{block}"


def shared(block: Block) -> bool:
    """More than one table entry names the block."""
    return len(block.holders) > 1


def copied(state: State, block: Block, steps: int) -> bool:
    """The block was copied on write in the latest ``steps`` steps."""
    return block.copied_from >= 0 and state.step - block.born < steps


def moved(state: State, block: Block, steps: int) -> bool:
    """The block's content came from the other tier in the latest ``steps`` steps."""
    return block.moved_from >= 0 and state.step - block.born < steps


def evicted(state: State, tier: str, number: int, steps: int) -> Eviction | None:
    """How the block lost cached content, if it did in the latest ``steps`` steps; whoever has it now."""
    how = state.evicted.get(tier, {}).get(number)
    return how if how and state.step - how.step < steps else None


def plain(text: str, limit: int = 60) -> str:
    """Text that cannot break a line, a terminal or XML: control and format characters are replaced."""
    kept = "".join("\ufffd" if unicodedata.category(char).startswith("C") else char for char in text)
    return kept if len(kept) <= limit else kept[: limit - 1] + "\u2026"


def plural(count: int, word: str) -> str:
    """``1 block``, ``1,024 blocks``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def size(num_bytes: int) -> str:
    """Bytes as a person says them: ``512 B``, ``1.5 MiB``."""
    value = float(num_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"


def percent(part: int, whole: int) -> str:
    """A share in percent; never 0 % or 100 % of something that is neither."""
    if whole <= 0 or part <= 0:
        return "0 %"
    share = 100 * part / whole
    if share < 1:
        return "<1 %"
    return f"{min(share, 99) if part < whole else 100:.0f} %"
