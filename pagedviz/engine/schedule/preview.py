"""What the next step would do to memory, without doing it. Looks, and changes nothing.

It counts through the same plan that the step would carry out, with the dry run that plans are made with. Which
block a policy would evict is not said, and no policy of the engine's own objects is asked for it: choosing changes
some (``random`` draws, ``clock`` moves its hand). Where the answer hangs on a plug-in, a copy of it is asked.

What it says comes true in all five kinds, unless something happens between the two (a request comes or is
aborted) or the step fails.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.schedule.plan import order
from pagedviz.engine.schedule.preemption import count_preemption
from pagedviz.engine.schedule.scheduler import Scheduler, count_admission
from pagedviz.errors import PolicyError
from pagedviz.events import GUESSED
from pagedviz.memory import CachedBlock, DryRun
from pagedviz.memory.placement import Choice, divide, make_placement
from pagedviz.memory.plugin import name_of
from pagedviz.memory.prefix_cache import PrefixCache

if TYPE_CHECKING:
    from pagedviz.engine.core import EngineCore

FORETOLD = tuple(GUESSED)
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
    dry_run = core.manager.dry_run()
    for preemption in plan.preempted:
        count_preemption(preemption, dry_run)
    for admission in plan.admitted:
        count_admission(admission, dry_run)
    evicted = max(0, plan.num_blocks - dry_run.num_taken - dry_run.free["device"])
    down = _kept(evicted, core, config, dry_run) if evicted else 0
    evicted_host = max(0, down - dry_run.free["host"])
    copies = tuple(
        entry for item in order(plan.scheduled) for entry in dry_run.write(item.sequence.id, item.start, item.count)
    )
    caused = {
        "RequestPreempted": bool(plan.preempted),
        "SwappedOut": down > 0 or any(preemption.mode == "swap" for preemption in plan.preempted),
        "SwappedIn": dry_run.num_brought > 0,
        "BlockEvicted": evicted + evicted_host > 0,
        "BlockCopied": bool(copies),
    }
    return Preview(
        core.steps + 1,
        tuple(kind for kind in FORETOLD if caused[kind]),
        tuple((item.request.id, item.mode) for item in plan.preempted),
        plan.num_blocks,
        evicted,
        evicted_host,
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


def _kept(count: int, core: EngineCore, config: EngineConfig, dry_run: DryRun) -> int:
    """How many of the next ``count`` evicted blocks go down: those that the placement keeps, while they fit."""
    room = dry_run.num_host_free
    if not room or config.placement in ("always", "never"):
        return min(room, count) if config.placement == "always" else 0
    placement = make_placement(config.placement)
    kept, _ = divide(_victims(count, core, dry_run), _copy_of("placement policy", placement, placement), room)
    return len(kept)


def _victims(count: int, core: EngineCore, dry_run: DryRun) -> list[Choice]:
    """What the eviction policy will choose: a copy of it is told and asked the same."""
    own = core.manager.device.cache
    assert own is not None, "what is evicted was cached"
    cache = _copy_of("eviction policy", own.policy, own)
    for block in dry_run.sent_down:
        cache.unname(_entry(cache, block))
    for block in dry_run.let_go:
        cache.retire(_entry(cache, block), core.steps + 1)
    for block in dry_run.revived:
        cache.revive(_entry(cache, block))
    return cache.victims(count)


def _entry(cache: PrefixCache, block: int) -> CachedBlock:
    entry = cache.entry(block)
    assert entry is not None, "it has a name"
    return entry
