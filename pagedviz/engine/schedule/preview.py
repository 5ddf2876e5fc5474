"""What the next step would do to memory, without doing it. Looks, and changes nothing.

It counts through the same plan that the step would carry out. Which block a policy would evict is not said, and
no policy of the engine's own objects is asked for it: choosing changes some (``random`` draws, ``clock`` moves
its hand). Where the answer hangs on a plug-in, a copy of it is asked.

What it says comes true in all five kinds, unless something happens between the two (a request comes or is
aborted) or the step fails.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.schedule.plan import Admission, Preemption, Scheduled, StepPlan, order
from pagedviz.engine.schedule.scheduler import Scheduler
from pagedviz.errors import PolicyError
from pagedviz.memory import BlockManager, CachedBlock
from pagedviz.memory.placement import make_placement
from pagedviz.memory.plugin import name_of
from pagedviz.memory.prefix_cache import PrefixCache

if TYPE_CHECKING:
    from pagedviz.engine.core import EngineCore

FORETOLD = ("RequestPreempted", "SwappedOut", "SwappedIn", "BlockEvicted", "BlockCopied")
"""The kinds of events that can be told before the step that causes them."""

Plugin = TypeVar("Plugin")


@dataclass(frozen=True)
class Preview:
    """The next step, before it is taken.

    Attributes:
        step: its number.
        kinds: which of ``FORETOLD`` it causes, in that order.
        preempted: the requests that give their blocks back, each with its mode, ``"swap"`` or ``"recompute"``.
        num_blocks: free device blocks that it takes.
        num_evicted: cached device blocks that must be evicted for them.
        num_evicted_host: the same of the host tier, for what goes down.
        copies: block table entries that copy-on-write replaces: (sequence, layer group, logical block).
    """

    step: int
    kinds: tuple[str, ...] = ()
    preempted: tuple[tuple[str, str], ...] = ()
    num_blocks: int = 0
    num_evicted: int = 0
    num_evicted_host: int = 0
    copies: tuple[tuple[int, int, int], ...] = ()


def look_ahead(core: EngineCore, config: EngineConfig) -> Preview:
    """What the next step would cause; the caller has the engine's turn.

    Raises:
        PolicyError: a policy raised, chose what it must not, or is a plug-in that cannot be copied.
    """
    plan = _scheduler(core, config).plan()
    count = _Count(core.manager, core.steps + 1)
    for preemption in plan.preempted:
        count.preempt(preemption)
    for admission in plan.admitted:
        count.pin(admission)
    count.make_room(plan.num_blocks, config)
    copies = tuple(entry for item in order(plan.scheduled) for entry in count.write(item))
    caused = {
        "RequestPreempted": bool(plan.preempted),
        "SwappedOut": count.swaps_out,
        "SwappedIn": _swaps_in(core.manager, plan),
        "BlockEvicted": any(count.evicted.values()),
        "BlockCopied": bool(copies),
    }
    return Preview(
        core.steps + 1,
        tuple(kind for kind in FORETOLD if caused[kind]),
        tuple((item.request.id, item.mode) for item in plan.preempted),
        plan.num_blocks,
        count.evicted["device"],
        count.evicted["host"],
        copies,
    )


def _scheduler(core: EngineCore, config: EngineConfig) -> Scheduler:
    """The scheduler; one with a copy of the victim policy if that is an object of the user's own."""
    own = core.scheduler
    if isinstance(config.victim, str):
        return own
    # A policy that knows requests of earlier questions must know these ones again.
    requests = {id(request): request for request in core.requests.values()}
    victim = _copy_of("victim policy", config.victim, config.victim, requests)
    planned = dataclasses.replace(config, victim=victim)
    other = Scheduler(planned, core.manager, core.costs, core.runner.cache.bytes_per_block)
    other.waiting, other.running = own.waiting, own.running
    return other


def _copy_of(what: str, policy: object, holder: Plugin, known: dict[int, Any] | None = None) -> Plugin:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 has one for itertools.count
            return copy.deepcopy(holder, known)
    except Exception as error:
        raise PolicyError(f"{what} {name_of(policy)!r} cannot be copied to look ahead: {error!r}") from error


def _swaps_in(manager: BlockManager, plan: StepPlan) -> bool:
    """True if content comes up from the host tier: the device does not have it already."""
    for request, prefix in ((admission.request, admission.prefix) for admission in plan.admitted):
        if prefix is not None:
            if prefix.found > prefix.on_device:
                return True
            continue
        for id_ in (sequence.id for sequence in request.active()):
            hashes = manager.hashes(id_)
            for group, table in enumerate(manager.tables(id_)):
                names = [(group, content) for content in hashes[: len(table)]]
                if len(names) < len(table) or any(manager.device.find(name) is None for name in names):
                    return True
    return False


class _Count:
    """What becomes of both tiers, step by step as ``admission`` goes. Counts, where it can do without blocks.

    Attributes:
        evicted: tier -> blocks that are evicted.
        swaps_out: True if content goes down to the host tier.
    """

    def __init__(self, manager: BlockManager, step: int) -> None:
        self._manager = manager
        self._step = step
        self._free = {name: tier.pool.num_free for name, tier in manager.tiers.items()}
        self._idle = {name: tier.num_idle for name, tier in manager.tiers.items()}
        self._dropped: Counter[tuple[str, int]] = Counter()
        self._pinned: set[tuple[str, int]] = set()
        # What a copy of the device's cache must be told before it is asked.
        self._told: list[Callable[[PrefixCache], None]] = []
        self.evicted = dict.fromkeys(manager.tiers, 0)
        self.swaps_out = False

    def preempt(self, preemption: Preemption) -> None:
        """The request's blocks go to the host tier, or are given up."""
        swaps = preemption.mode == "swap"
        tables = [t for s in preemption.request.active() for t in self._manager.tables(s.id)]
        if swaps:
            distinct = len({block for table in tables for block in table})
            self._evict("host", distinct - self._free["host"])
            self._free["host"] -= distinct
            self.swaps_out = True
        for table in tables:
            for block in reversed(table):
                self._dropped["device", block] += 1
                if not self._owners("device", block):
                    self._let_go(block, named=not swaps)

    def _let_go(self, block: int, *, named: bool) -> None:
        """Nobody has the device block any more; its name stays with it, or has gone with its content."""
        cache = self._manager.device.cache
        if cache is None or cache.entry(block) is None:
            self._free["device"] += 1
        elif named:
            self._idle["device"] += 1
            self._told.append(lambda cache: cache.retire(_entry(cache, block), self._step))
        else:
            self._free["device"] += 1
            self._told.append(lambda cache: cache.unname(_entry(cache, block)))

    def pin(self, admission: Admission) -> None:
        """What an admission counts on cannot be evicted."""
        prefix, manager = admission.prefix, self._manager
        if prefix is None:
            names = [content for sequence in admission.request.active() for content in manager.hashes(sequence.id)]
        else:
            names = [*prefix.names[: prefix.found]]
        keys = [(group, content) for content in names for group in range(manager.num_groups)]
        for key in keys:
            for name, tier in manager.tiers.items():
                block = tier.find(key)
                if block is not None and tier.is_idle(block) and (name, block) not in self._pinned:
                    self._pin(name, block)

    def _pin(self, tier: str, block: int) -> None:
        self._pinned.add((tier, block))
        self._idle[tier] -= 1
        if tier == "device":
            self._told.append(lambda cache: cache.revive(_entry(cache, block)))

    def make_room(self, num_blocks: int, config: EngineConfig) -> None:
        """Device blocks are evicted until so many are free; what the placement keeps of them goes down."""
        count = num_blocks - self._free["device"]
        if count <= 0:
            return
        self._evict("device", count)
        room = self._free["host"] + self._idle["host"]
        down = min(room, self._kept(count, config)) if room else 0
        self._evict("host", down - self._free["host"])
        self.swaps_out = self.swaps_out or down > 0

    def _kept(self, count: int, config: EngineConfig) -> int:
        """How many of ``count`` evicted blocks the placement wants to keep."""
        if config.placement in ("always", "never"):
            return count if config.placement == "always" else 0
        placement = make_placement(config.placement)
        try:
            keeps = _copy_of("placement policy", placement, placement).keeps
            return sum(bool(keeps(entry)) for entry in self._victims(count))
        except PolicyError:
            raise
        except Exception as error:
            raise PolicyError(f"placement policy {name_of(placement)!r} raised {error!r}") from error

    def _victims(self, count: int) -> list[CachedBlock]:
        """What the eviction policy will choose: a copy of it is told and asked the same."""
        own = self._manager.device.cache
        assert own is not None, "what is evicted was cached"
        cache = _copy_of("eviction policy", own.policy, own)
        for tell in self._told:
            tell(cache)
        return [entry for entry, _ in cache.victims(count)]

    def _evict(self, tier: str, count: int) -> None:
        if count > 0:
            self.evicted[tier] += count
            self._idle[tier] -= count
            self._free[tier] += count

    def write(self, item: Scheduled) -> list[tuple[int, int, int]]:
        """The entries of a sequence that are shared, and that it is about to write into."""
        sequence, manager = item.sequence.id, self._manager
        tier, first = manager.tier_of(sequence).name, item.start // manager.block_size
        copied = []
        for group, table in enumerate(manager.tables(sequence)):
            if first < len(table) and self._owners(tier, table[first]) > 1:
                self._dropped[tier, table[first]] += 1
                copied.append((sequence, group, first))
        return copied

    def _owners(self, tier: str, block: int) -> int:
        return self._manager.tiers[tier].pool.refcount(block) - self._dropped[tier, block]


def _entry(cache: PrefixCache, block: int) -> CachedBlock:
    entry = cache.entry(block)
    assert entry is not None, "it was named when this was noted"
    return entry
