"""Capacity: how large blocks and pools are, how much one step may do. Checks values; decides nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pagedviz.attention.backends import BACKENDS
from pagedviz.engine.keywords import checked
from pagedviz.engine.schedule.victims import VictimPolicy, make_victim_policy
from pagedviz.errors import ConfigError
from pagedviz.events.kinds import MOST
from pagedviz.memory import EvictionPolicy, Placement
from pagedviz.memory.eviction import make_policy
from pagedviz.memory.placement import make_placement
from pagedviz.values import flag, whole

WHOLE = (
    ("block_size", 1),
    ("num_device_blocks", 1),
    ("num_host_blocks", 0),
    ("max_num_seqs", 1),
    ("max_num_batched_tokens", 1),
)
"""Options that are numbers of something, and the least valid value of each."""

PREEMPTION = ("auto", "swap", "recompute")


@checked()
@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Options of an engine, with vLLM's names where it has one.

    Attributes:
        block_size: token slots per block, 1 or more.
        num_device_blocks: blocks in the device tier.
        num_host_blocks: blocks in the host tier; 0: there is none.
        max_num_seqs: sequences that run at the same time.
        max_num_batched_tokens: token budget of a step, prefill and decode together.
        prefix_caching: keep full blocks after their last owner is gone, for who has the same prefix.
        eviction: which cached block goes first: a name in ``pagedviz.memory.POLICIES``, or an object with the
            methods of ``EvictionPolicy``. A name goes for both tiers, an object for the device tier: the host
            tier then has ``"lru"``.
        placement: whether evicted blocks go down to the host tier: ``"always"``, ``"never"``, ``"reused"``, or an
            object.
        preemption: what happens to a victim's K and V: ``"swap"`` moves them to the host tier where it has room,
            ``"recompute"`` gives them up, ``"auto"`` takes what costs less by measured speeds.
        victim: which request is preempted: ``"newest"``, ``"fewest_tokens_lost"``, ``"largest"``, ``"priority"``,
            or an object. The request that came first is never a victim while others run, so all of them finish.
        attention: ``"auto"``, or a name in ``pagedviz.attention.BACKENDS``: ``"torch"``, ``"numba"``, ``"triton"``.
        seed: where random sampling starts for requests without a seed of their own.

    Raises:
        ConfigError: a value is out of range; the message names it and the range.
    """

    block_size: int = 16
    num_device_blocks: int = 256
    num_host_blocks: int = 0
    max_num_seqs: int = 32
    max_num_batched_tokens: int = 512
    prefix_caching: bool = True
    eviction: str | EvictionPolicy = "lru"
    placement: str | Placement = "always"
    preemption: str = "auto"
    victim: str | VictimPolicy = "newest"
    attention: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        made: dict[str, Any] = {name: whole(name, getattr(self, name), least, MOST) for name, least in WHOLE}
        made["seed"] = whole("seed", self.seed, 0)
        made["prefix_caching"] = flag("prefix_caching", self.prefix_caching)
        for name, value in made.items():
            object.__setattr__(self, name, value)
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ConfigError(
                f"max_num_batched_tokens={self.max_num_batched_tokens} is less than "
                f"max_num_seqs={self.max_num_seqs}: a step must have room for one token of each sequence"
            )
        _check_choice("attention", self.attention, ("auto", *BACKENDS))
        _check_choice("preemption", self.preemption, PREEMPTION)
        if self.preemption == "swap" and not self.num_host_blocks:
            raise ConfigError("preemption='swap' needs a host tier: num_host_blocks above 0")
        make_policy(self.eviction, self.num_device_blocks, self.seed)
        make_placement(self.placement)
        make_victim_policy(self.victim)


def _check_choice(name: str, value: Any, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise ConfigError(f"{name}={value!r}: this version knows {', '.join(map(repr, valid))}")
