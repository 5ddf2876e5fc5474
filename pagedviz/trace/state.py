"""What memory looks like at one moment: requests, sequences, block tables, blocks. Data and questions only.

How events change it is decided in ``trace/reducer``; the JavaScript twin is ``browser/run/state.js``.
The parts hold no references to each other, so the garbage collector need not look at them (``gc=False``).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pagedviz.events.kinds import Int
from pagedviz.trace.analysis.waste import WasteSplit, empty_slots

Entry = tuple[str, Int]
"""One entry of a block table: (tier, block id). The entries of one table may lie in different tiers."""


class Request(msgspec.Struct, gc=False):
    """A prompt with its samples. ``status`` is waiting, running, preempted, swapped or finished.

    Preempted and swapped requests wait again; a swapped one still has its K and V, in the host tier.
    """

    name: str
    sequences: list[Int]
    num_prompt: Int
    max_tokens: Int
    status: str = "waiting"
    reason: str = ""
    preemptions: Int = 0


class Sequence(msgspec.Struct, gc=False):
    """One stream of tokens and its block tables.

    ``status``: ``waiting`` (not begun, or preempted), ``running``, ``swapped``, ``finished``. ``computed`` is how
    many of its tokens have their K and V, in its blocks as far as its tables name them. ``tables`` maps layer group
    -> logical block -> entry. An entry is None, *absent*, where no block is known: it was given back while later
    ones stayed (the front of a sliding window), or nobody said. The last entry of a table is never absent.
    """

    id: Int
    request: str
    num_prompt: Int
    tokens: list[Int]
    texts: list[str]
    computed: Int = 0
    status: str = "waiting"
    tables: dict[Int, list[Entry | None]] = {}

    def entries(self) -> Iterator[tuple[int, int, Entry]]:
        """The entries that are there: (layer group, logical block, entry)."""
        for group, table in self.tables.items():
            for logical, entry in enumerate(table):
                if entry is not None:
                    yield group, logical, entry

    def copy(self) -> Sequence:
        """A sequence that later changes to this one leave alone."""
        tables = {group: [*table] for group, table in self.tables.items()}
        return msgspec.structs.replace(self, tokens=[*self.tokens], texts=[*self.texts], tables=tables)


class Block(msgspec.Struct, frozen=True, gc=False):
    """A block that is not free. ``holders`` are (sequence, logical), the owner first; a cached block has none.

    ``born`` is the step that allocated it. ``copied_from`` is the block of its tier, and ``moved_from`` the block
    of the other tier, that its content came from then (-1: none). ``hash`` is the name of its content once it is
    full, ``cached`` the step in which its last holder let go of it (-1: it is held). Frozen, so that copies of a
    state share their blocks.
    """

    group: Int
    holders: tuple[tuple[Int, Int], ...]
    born: Int
    copied_from: Int = -1
    hash: str = ""
    cached: Int = -1
    moved_from: Int = -1


class Eviction(msgspec.Struct, frozen=True, gc=False):
    """How a block last lost its cached content: in which step, to which policy, and the policy's reason."""

    step: Int
    policy: str
    why: str


class Counters(msgspec.Struct):
    """How often what happened since the engine began; a trace from the middle of a run starts with what was before.

    ``hit_tokens`` and ``missed_tokens`` count what new requests looked for in the prefix cache; what a request
    finds again after its preemption is no hit. ``lost_tokens`` are those whose K and V preemptions gave up.
    ``swapped_out`` and ``swapped_in`` count blocks.
    """

    allocated: Int = 0
    freed: Int = 0
    shared: Int = 0
    copied: Int = 0
    filled: Int = 0
    preempted: Int = 0
    finished: Int = 0
    prefill_tokens: Int = 0
    decode_tokens: Int = 0
    cached: Int = 0
    evicted: Int = 0
    hit_tokens: Int = 0
    missed_tokens: Int = 0
    lost_tokens: Int = 0
    swapped_out: Int = 0
    swapped_in: Int = 0
    swapped_bytes: Int = 0
    swap_us: Int = 0


class MemoryUse(msgspec.Struct, frozen=True):
    """Token slots of one tier, adding up to its size (PagedAttention paper, section 2 and figure 2).

    ``used`` slots hold K and V of a token of some sequence, ``internal`` waste is slots of held blocks without a
    token yet, ``cached`` slots are in full blocks that nobody has, ``free`` slots in free blocks. The paper's
    other two parts are 0: any free block serves any table (``external`` waste), and the slots that a sequence will
    yet come to use, of the block that it writes into (``reserved``), are counted with ``internal`` here.
    ``State.waste`` tells these two apart.
    """

    used: int
    cached: int
    internal: int
    free: int

    @property
    def reserved(self) -> int:
        """Slots kept for tokens to come: counted with ``internal``."""
        return 0

    @property
    def external(self) -> int:
        """Free slots that are of no use to anybody: none."""
        return 0

    @property
    def total(self) -> int:
        """All slots of the tier."""
        return self.used + self.cached + self.internal + self.free


class State(msgspec.Struct):
    """Everything that the events say about memory after ``step``; ``seq`` is the next event's number.

    ``blocks`` maps tier -> block id -> block, for blocks that are held or cached. Blocks not in it are free.
    ``evicted`` maps tier -> block id -> its latest eviction, whoever has the block since.
    """

    block_size: Int
    num_blocks: dict[str, Int]
    step: Int = 0
    seq: Int = 0
    t_us: Int = 0
    requests: dict[str, Request] = {}
    sequences: dict[Int, Sequence] = {}
    blocks: dict[str, dict[Int, Block]] = {}
    counters: Counters = msgspec.field(default_factory=Counters)
    scheduled: list[tuple[Int, Int, Int]] = []
    """What the latest step computed: (sequence, first position, number of tokens)."""
    evicted: dict[str, dict[Int, Eviction]] = {}

    def block(self, block: int, tier: str = "device") -> Block | None:
        """The block with this id, or None if it is free."""
        return self.blocks.get(tier, {}).get(block)

    def refcount(self, block: int, tier: str = "device") -> int:
        """How many block-table entries point to the block."""
        found = self.block(block, tier)
        return len(found.holders) if found else 0

    def fill(self, block: int, tier: str = "device") -> int:
        """How many slots of the block hold the K and V of a token (0 to ``block_size``); cached blocks are full."""
        found = self.block(block, tier)
        if found is None:
            return 0
        size = self.block_size
        if not found.holders:
            return size
        filled = (self.sequences[sequence].computed - logical * size for sequence, logical in found.holders)
        return max(0, min(size, max(filled, default=0)))

    def num_free(self, tier: str = "device") -> int:
        """How many blocks of the tier are neither held nor cached."""
        return self.num_blocks.get(tier, 0) - len(self.blocks.get(tier, {}))

    def memory(self, tier: str = "device") -> MemoryUse:
        """How the tier's token slots are used; the parts add up to all of them."""
        blocks, size = self.blocks.get(tier, {}), self.block_size
        held = [block for block, found in blocks.items() if found.holders]
        used = sum(self.fill(block, tier) for block in held)
        cached = (len(blocks) - len(held)) * size
        return MemoryUse(used, cached, len(held) * size - used, self.num_free(tier) * size)

    def waste(self, tier: str = "device") -> WasteSplit:
        """The paper's split of the tier, by the rule of ``trace/analysis/waste``; cached slots count as free.

        A sequence is taken to generate ``max_tokens`` tokens, as nobody knows better while it runs.
        """
        size, used, reserved, internal, held = self.block_size, 0, 0, 0, 0
        for block, found in self.blocks.get(tier, {}).items():
            if found.holders:
                written = self.fill(block, tier)
                final = max(self._final(sequence) - logical * size for sequence, logical in found.holders)
                later, never = empty_slots(written, final, size)
                used, reserved, internal, held = used + written, reserved + later, internal + never, held + 1
        return WasteSplit(used, reserved, internal, 0, (self.num_blocks.get(tier, 0) - held) * size)

    def _final(self, sequence: int) -> int:
        """How many slots the sequence fills at most: the last token that is drawn needs none."""
        found = self.sequences[sequence]
        return found.num_prompt + self.requests[found.request].max_tokens - 1

    def is_over(self, sequence: Sequence) -> bool:
        """Whether the sequence stays as it is for ever: its request has finished, and it has no blocks."""
        finished = sequence.status == "finished" and self.requests[sequence.request].status == "finished"
        return finished and not any(sequence.tables.values())

    def copy(self) -> State:
        """A state that later changes to this one leave alone. Both have the same objects for what is over."""
        return State(
            self.block_size,
            dict(self.num_blocks),
            self.step,
            self.seq,
            self.t_us,
            {
                name: r if r.status == "finished" else msgspec.structs.replace(r, sequences=[*r.sequences])
                for name, r in self.requests.items()
            },
            {id_: s if self.is_over(s) else s.copy() for id_, s in self.sequences.items()},
            {tier: dict(held) for tier, held in self.blocks.items()},
            msgspec.structs.replace(self.counters),
            [*self.scheduled],
            {tier: dict(gone) for tier, gone in self.evicted.items()},
        )
