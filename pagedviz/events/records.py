"""The vocabulary: one frozen record per thing that happens to KV memory, and their closed union.

Records are facts in the past tense: ids and ints, no tensors, no clock. Order and time are added by
``events/bus``; how they are written down is decided in ``events/codec``; what they mean for the state of
memory is decided in ``trace/reducer``. To add one: a record here, its emitter, its rule in ``trace/rules`` and in
``browser/run/rules``, its sentence in ``figures/theme.json``; a guard test says what is missing.

Ids are plain ints and strings: a *request* is named by its caller or numbered ("r3"), its *sequences* get
engine-wide ints, a *block* is an index into its tier's pool, a *group* is a group of layers that share a
block table, and *logical* is an index into that table.
"""

from __future__ import annotations

from typing import ClassVar, Union

import msgspec

from pagedviz.events.kinds import MOST, About, Event, Int  # noqa: F401 - MOST is found here as well

# -- engine ---------------------------------------------------------------------------------------------------


class StepStarted(Event, frozen=True):
    """A step began. ``scheduled`` has, per sequence, the positions whose K and V this step computes."""

    about: ClassVar[About] = About("engine", "Who came and who ran", rank=1)
    scheduled: tuple[tuple[Int, Int, Int], ...]
    """(sequence, first position, number of tokens)."""


class StepFinished(Event, frozen=True):
    """The K and V of all that was scheduled are in their slots; what follows was decided from the logits."""

    about: ClassVar[About] = About("engine", "How long it took", telling=1)
    duration_us: Int
    prefill_tokens: Int
    decode_tokens: Int


class KernelLaunched(Event, frozen=True):
    """A kernel ran, once per layer; counts and times are summed over the layers of one step.

    ``grid`` is how its work is divided before the backend cuts it further: (tokens or sequences, KV heads), for
    ``copy_blocks`` (pairs, layers). ``duration_us`` is time on the host; on an accelerator that is the time to
    launch, not to run.
    """

    about: ClassVar[About] = About("engine", None)
    name: str
    grid: tuple[Int, ...]
    launches: Int
    blocks_read: Int
    duration_us: Int


# -- request --------------------------------------------------------------------------------------------------


class RequestAdded(Event, frozen=True):
    """A request joined the waiting queue."""

    about: ClassVar[About] = About("request", "Who came and who ran", telling=8)
    request: str
    sequences: tuple[Int, ...]
    """Its samples' sequence ids. All but the first start when the prompt is in memory (``SequenceForked``)."""
    prompt: tuple[Int, ...]
    texts: tuple[str, ...]
    """One piece of text per prompt token; empty without a tokenizer."""
    max_tokens: Int
    params: tuple[tuple[str, str], ...] | None = None
    """What was asked for beside ``max_tokens``, as (name, value in JSON), names as ``SamplingParams`` has them:
    sampling, priority, salt, preemption. Only what is not as by default. None in a trace that does not say."""


class RequestScheduled(Event, frozen=True):
    """A request left the waiting queue and runs from this step on."""

    about: ClassVar[About] = About("request", "Who came and who ran", telling=7)
    request: str
    resumed: bool
    """True when it ran before and was preempted."""


class RequestPreempted(Event, frozen=True):
    """A running request gave all its blocks back and waits again."""

    about: ClassVar[About] = About(
        "request", "Who had to make room", counter="preempted", guesses=("request", "sequence", "block"), telling=18
    )
    request: str
    mode: str
    """``recompute``: its K and V are given up and computed again later; ``swap``: they move to the host tier."""
    reason: str
    blocks_freed: Int
    """Device blocks that nobody holds any more. Full ones may stay cached."""
    tokens_lost: Int
    """How many tokens' K and V were in its blocks; 0 when they were swapped out."""


class RequestFinished(Event, frozen=True):
    """The last sequence of a request ended."""

    about: ClassVar[About] = About("request", "What ended", rank=1, counter="finished", telling=10)
    request: str
    reason: str
    """``stop``, ``length``, ``abort``, as in vLLM, or ``error``; of the sequence that ended last."""


class SequenceForked(Event, frozen=True):
    """A sequence began to run on another one's blocks: the K and V of ``num_tokens`` tokens are shared.

    A sample has waited for it. A beam is new: it begins with a copy of its parent's tokens.
    """

    about: ClassVar[About] = About("request", "Which blocks were taken", rank=1, telling=11)
    request: str
    parent: Int
    child: Int
    num_tokens: Int


class SequenceFinished(Event, frozen=True):
    """A sequence produces no more tokens."""

    about: ClassVar[About] = About("request", "What ended", telling=9)
    request: str
    sequence: Int
    reason: str


class SequenceDropped(Event, frozen=True):
    """A beam fell out of the best and is forgotten; its blocks were released."""

    about: ClassVar[About] = About("request", "What ended", rank=1)
    request: str
    sequence: Int


class TokenAppended(Event, frozen=True):
    """A sampled token took its position. Its K and V are computed by a later step."""

    about: ClassVar[About] = About("token", "What was written", telling=2)
    sequence: Int
    position: Int
    token: Int
    text: str


# -- block ----------------------------------------------------------------------------------------------------


class BlockAllocated(Event, frozen=True):
    """A free block became entry ``logical`` of a sequence's block table."""

    about: ClassVar[About] = About("block", "Which blocks were taken", counter="allocated", telling=5)
    tier: str
    group: Int
    block: Int
    sequence: Int
    logical: Int
    reason: str
    """``prefill``, ``decode``, ``copy_on_write``, ``swap_out``, ``swap_in`` or ``prefix_hit`` (from the host)."""


class BlockFilled(Event, frozen=True):
    """The last slot of a block was written; its content has a name from now on."""

    about: ClassVar[About] = About("block", "What was written", counter="filled", telling=3)
    tier: str
    group: Int
    block: Int
    sequence: Int
    logical: Int
    hash: str
    """16 hex digits, chained: equal hash, equal tokens from the start of the sequence to the block's end."""


class BlockShared(Event, frozen=True):
    """One more sequence has the block in its table, as entry ``logical``, instead of what was there."""

    about: ClassVar[About] = About("block", None, counter="shared", telling=6)
    tier: str
    group: Int
    block: Int
    sequence: Int
    logical: Int
    refcount: Int


class BlockCopied(Event, frozen=True):
    """Copy-on-write: ``sequence`` is about to write into a block it shares, and got a copy of its own."""

    about: ClassVar[About] = About(
        "block",
        "Which blocks were taken",
        rank=1,
        counter="copied",
        guesses=("block", "sequence", "request"),
        telling=17,
    )
    tier: str
    group: Int
    source: Int
    target: Int
    sequence: Int
    logical: Int


class BlockReleased(Event, frozen=True):
    """A sequence no longer has the block as entry ``logical``; ``refcount`` others still do."""

    about: ClassVar[About] = About("block", "What ended", rank=1)
    tier: str
    group: Int
    block: Int
    sequence: Int
    logical: Int
    refcount: Int


class BlockFreed(Event, frozen=True):
    """Nobody has the block any more, and its content is given up; it can be handed out again."""

    about: ClassVar[About] = About("block", None, counter="freed", telling=4)
    tier: str
    group: Int
    block: Int


class BlockCached(Event, frozen=True):
    """Nobody has the block any more, and its content is kept under its name until the block is evicted.

    In the host tier also: a free block took the content of a block that was evicted from the device.
    """

    about: ClassVar[About] = About("cache", "What ended", rank=1, counter="cached")
    tier: str
    group: Int
    block: Int
    hash: str


# -- cache ----------------------------------------------------------------------------------------------------


class PrefixHit(Event, frozen=True):
    """A sequence begins with ``tokens`` tokens whose K and V were found: ``blocks`` blocks in each group.

    ``from_host`` of these blocks were in the host tier. ``resumed``: it had computed them before it was preempted,
    so nothing was saved that was not lost.
    """

    about: ClassVar[About] = About("cache", "What the cache knew", telling=13)
    request: str
    sequence: Int
    blocks: Int
    tokens: Int
    from_host: Int
    resumed: bool


class PrefixMissed(Event, frozen=True):
    """The next ``tokens`` tokens of the sequence were looked for and not found."""

    about: ClassVar[About] = About("cache", "What the cache knew")
    request: str
    sequence: Int
    tokens: Int
    reason: str
    """A sentence's end: ``no such prefix``, ``shorter than a block``, ``evicted at step 41 by lru``."""
    resumed: bool


class BlockEvicted(Event, frozen=True):
    """A cached block lost its content, so that somebody else can have the block. It is free now.

    The content is given up, or has gone down from the device to the host tier: ``SwappedOut`` came before then.
    """

    about: ClassVar[About] = About("cache", "What was given up", counter="evicted", guesses=("block",), telling=14)
    tier: str
    group: Int
    block: Int
    hash: str
    policy: str
    why: str
    """The policy's own explanation; on the device of two tiers also the placement's: down, or given up."""
    age: Int
    """Steps since its last owner let go of it."""


class PrefixCacheReset(Event, frozen=True):
    """All cached blocks were freed, ``blocks`` of them, and no block has a name any more.

    ``reason`` is a sentence's end: ``the weight lm_head.weight was written``; empty in traces of before.
    """

    about: ClassVar[About] = About("cache", "What the cache knew", telling=12)
    blocks: Int
    reason: str = ""


# -- tier -----------------------------------------------------------------------------------------------------


class SwappedOut(Event, frozen=True):
    """The content of device blocks was copied to host blocks: ``pairs`` of (device block, host block).

    ``request`` is the one that was preempted; empty when cached blocks went down as they were evicted.
    """

    about: ClassVar[About] = About(
        "tier", "What moved between the tiers", guesses=("request", "block", "sequence"), telling=15
    )
    request: str
    pairs: tuple[tuple[Int, Int], ...]
    num_bytes: Int
    duration_us: Int


class SwappedIn(Event, frozen=True):
    """The content of host blocks was copied to device blocks: ``pairs`` of (host block, device block)."""

    about: ClassVar[About] = About(
        "tier", "What moved between the tiers", guesses=("request", "block", "sequence"), telling=16
    )
    request: str
    pairs: tuple[tuple[Int, Int], ...]
    num_bytes: Int
    duration_us: Int


AnyEvent = Union[
    StepStarted,
    StepFinished,
    KernelLaunched,
    RequestAdded,
    RequestScheduled,
    RequestPreempted,
    RequestFinished,
    SequenceForked,
    SequenceFinished,
    SequenceDropped,
    TokenAppended,
    BlockAllocated,
    BlockFilled,
    BlockShared,
    BlockCopied,
    BlockReleased,
    BlockFreed,
    BlockCached,
    PrefixHit,
    PrefixMissed,
    BlockEvicted,
    PrefixCacheReset,
    SwappedOut,
    SwappedIn,
]

KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in AnyEvent.__args__}  # type: ignore[attr-defined]

GUESSED = {name: kind.about.guesses for name, kind in KINDS.items() if kind.about.guesses}
"""The kinds that can be told before the step that causes them, decisions before what follows from them; each with
what a person can guess of it. A preempted request is also guessed by one of its blocks.
"""
ASK_WHO = tuple(name for name, guesses in GUESSED.items() if guesses[0] == "request")
"""Those that ask who: a block stands for the request that has it, and one that several have for none."""


class Batch(msgspec.Struct, frozen=True):
    """What happened together: the events of one step, or of one call between two steps.

    Attributes:
        seq: number of the first event; events are numbered without gaps from 0.
        step: the step they belong to; what happens between two steps belongs to the earlier one.
        t_us: microseconds since the engine began.
        events: in the order in which they happened.
    """

    seq: Int
    step: Int
    t_us: Int
    events: tuple[AnyEvent, ...]
