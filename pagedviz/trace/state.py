"""What memory looks like at one moment: requests, sequences, block tables, blocks. Data and questions only.

How events change it is decided in ``trace/reducer``; the JavaScript twin is ``widgets/static/state.js``.
The parts hold no references to each other, so the garbage collector need not look at them (``gc=False``).
"""

from __future__ import annotations

import msgspec

Entry = tuple[str, int]
"""One entry of a block table: (tier, block id)."""


class Request(msgspec.Struct, gc=False):
    """A prompt with its samples. ``status`` is waiting, running, preempted or finished."""

    name: str
    sequences: list[int]
    num_prompt: int
    max_tokens: int
    status: str = "waiting"
    reason: str = ""
    preemptions: int = 0


class Sequence(msgspec.Struct, gc=False):
    """One stream of tokens and its block tables.

    ``status``: ``waiting`` (not begun, or preempted), ``running``, ``finished``. ``computed`` is how many
    of its tokens have their K and V in the cache. ``tables`` maps layer group -> logical block -> entry.
    """

    id: int
    request: str
    num_prompt: int
    tokens: list[int]
    texts: list[str]
    computed: int = 0
    status: str = "waiting"
    tables: dict[int, list[Entry]] = {}


class Block(msgspec.Struct, frozen=True, gc=False):
    """A block that somebody has. ``holders`` are (sequence, logical), the owner first.

    ``born`` is the step that allocated it. ``copied_from`` is the block it was copied from (-1: none),
    ``hash`` the name of its content once it is full. Frozen, so that copies of a state share their blocks.
    """

    group: int
    holders: tuple[tuple[int, int], ...]
    born: int
    copied_from: int = -1
    hash: str = ""


class Counters(msgspec.Struct):
    """How often what happened since the trace began."""

    allocated: int = 0
    freed: int = 0
    shared: int = 0
    copied: int = 0
    filled: int = 0
    preempted: int = 0
    finished: int = 0
    prefill_tokens: int = 0
    decode_tokens: int = 0


class MemoryUse(msgspec.Struct, frozen=True):
    """Token slots of one tier, adding up to its size (PagedAttention paper, section 2 and figure 2).

    ``used`` slots hold K and V of a token, ``waste`` slots are in blocks that somebody has but hold nothing
    yet (internal fragmentation), ``free`` slots are in free blocks.
    """

    used: int
    waste: int
    free: int


class State(msgspec.Struct):
    """Everything that the events say about memory after ``step``; ``seq`` is the next event's number.

    ``blocks`` maps tier -> block id -> block, for blocks that somebody has. Blocks not in it are free.
    """

    block_size: int
    num_blocks: dict[str, int]
    step: int = 0
    seq: int = 0
    t_us: int = 0
    requests: dict[str, Request] = {}
    sequences: dict[int, Sequence] = {}
    blocks: dict[str, dict[int, Block]] = {}
    counters: Counters = msgspec.field(default_factory=Counters)
    scheduled: list[tuple[int, int, int]] = []
    """What the latest step computed: (sequence, first position, number of tokens)."""

    def block(self, block: int, tier: str = "device") -> Block | None:
        """The block with this id, or None if it is free."""
        return self.blocks.get(tier, {}).get(block)

    def refcount(self, block: int, tier: str = "device") -> int:
        """How many block-table entries point to the block."""
        found = self.block(block, tier)
        return len(found.holders) if found else 0

    def fill(self, block: int, tier: str = "device") -> int:
        """How many slots of the block hold the K and V of a token (0 to ``block_size``)."""
        found = self.block(block, tier)
        if found is None:
            return 0
        size = self.block_size
        filled = (self.sequences[sequence].computed - logical * size for sequence, logical in found.holders)
        return max(0, min(size, max(filled, default=0)))

    def num_free(self, tier: str = "device") -> int:
        """How many blocks of the tier nobody has."""
        return self.num_blocks.get(tier, 0) - len(self.blocks.get(tier, {}))

    def memory(self, tier: str = "device") -> MemoryUse:
        """How the tier's token slots are used; the three parts add up to all of them."""
        held = self.blocks.get(tier, {})
        used = sum(self.fill(block, tier) for block in held)
        return MemoryUse(used, len(held) * self.block_size - used, self.num_free(tier) * self.block_size)

    def copy(self) -> State:
        """A state that later changes to this one leave alone."""
        return State(
            self.block_size,
            dict(self.num_blocks),
            self.step,
            self.seq,
            self.t_us,
            {name: msgspec.structs.replace(r, sequences=[*r.sequences]) for name, r in self.requests.items()},
            {
                id_: msgspec.structs.replace(
                    s, tokens=[*s.tokens], texts=[*s.texts], tables={g: [*t] for g, t in s.tables.items()}
                )
                for id_, s in self.sequences.items()
            },
            {tier: dict(held) for tier, held in self.blocks.items()},
            msgspec.structs.replace(self.counters),
            [*self.scheduled],
        )
