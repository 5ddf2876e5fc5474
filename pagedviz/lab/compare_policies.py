"""Which eviction policy finds how much, for requests that are known: hit rates by policy and pool size.

The yardstick is Belady's policy, which knows the future. That is the order in which content is looked for; as
requests are served one at a time, it is the same whatever the policy, so a first pass over the requests finds it
without serving them. With one group of layers and no host tier nobody can have more hits: every request takes as
many blocks as with any other policy, and a prefix is needed again no later than what follows it, so that Belady's
policy never gives up a block before those that need it.

How requests are served is decided in ``cache_replay``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from pagedviz.errors import ConfigError
from pagedviz.lab.cache_replay import CacheReplay
from pagedviz.lab.workloads import TokenRequest, check_count
from pagedviz.memory import POLICIES, EvictionPolicy
from pagedviz.memory.content import chained_hashes
from pagedviz.memory.eviction import Key
from pagedviz.values import is_whole

MakePolicy = Callable[[int, int], EvictionPolicy]
"""(blocks in the pool, seed) -> a policy of one's own; a class may do."""
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)


@dataclass(frozen=True)
class PolicyRow:
    """One policy in a pool of one size.

    Attributes:
        hit_rate: share of the prompt tokens that were found.
        looked_for_tokens: all prompt tokens.
        evictions: blocks that lost their content.
    """

    policy: str
    num_blocks: int
    hit_rate: float
    hit_tokens: int
    looked_for_tokens: int
    evictions: int


class Uses:
    """When each content is looked for: ``next_use`` for Belady's policy.

    Args:
        contents: the names of what is looked for at 0, at 1 and so on.

    Attributes:
        now: the place that is being served.
    """

    def __init__(self, contents: Iterable[Iterable[str]]) -> None:
        self.now = -1
        self._uses: defaultdict[str, list[int]] = defaultdict(list)
        for place, names in enumerate(contents):
            for name in names:
                self._uses[name].append(place)

    def next_use(self, key: Key) -> float:
        """The next place at which this content is looked for; infinite if there is none."""
        uses = self._uses.get(key[1], ())
        place = bisect_right(uses, self.now)
        return uses[place] if place < len(uses) else inf


class Future(Uses):
    """The uses of the blocks of requests, in numbers of requests."""

    def __init__(self, requests: Iterable[TokenRequest], block_size: int) -> None:
        super().__init__(_looked_for(request, block_size) for request in requests)


def compare(
    requests: Sequence[TokenRequest],
    num_blocks: int | Iterable[int],
    policies: Iterable[str | MakePolicy] | None = None,
    *,
    block_size: int = 16,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> list[PolicyRow]:
    """Serve the same requests with every policy in pools of every size.

    Args:
        requests: in the order in which they come.
        num_blocks: sizes of the pool.
        policies: names in ``POLICIES`` or classes of one's own; None: all of ``POLICIES``.
        block_size: token slots per block.
        seed: for policies that draw lots.
        on_progress: told what is being served.
        options: further ones of ``CacheReplay``.

    Raises:
        ConfigError: there is no such policy, a number is out of range, or a request does not fit into a pool.
    """
    check_count("block_size", block_size)
    chosen = tuple(POLICIES) if policies is None else tuple(policies)
    unknown = [policy for policy in chosen if isinstance(policy, str) and policy not in POLICIES]
    if unknown:
        raise ConfigError(f"policies={unknown}: unknown; valid: {', '.join(map(repr, POLICIES))}")
    future = Future(requests, block_size)
    rows = []
    for size in (num_blocks,) if is_whole(num_blocks) else num_blocks:
        for policy in chosen:
            name = _name(policy)
            on_progress(f"{name}, {size} blocks")
            eviction = prepared(policy, size, seed, future.next_use)
            replay = CacheReplay(size, block_size, eviction=eviction, seed=seed, **options)
            for number, request in enumerate(requests):
                future.now = number
                replay.serve(request)
            rows.append(
                PolicyRow(
                    name, size, replay.hit_rate, replay.hit_tokens, replay.looked_for_tokens, replay.evictions
                )
            )
    return rows


def pool_sizes(
    requests: Iterable[TokenRequest], block_size: int = 16, shares: Sequence[float] = SHARES
) -> list[int]:
    """Pools for these shares of all that the requests compute, if each were cached for ever; smaller ones first.

    None is smaller than what the largest request needs.
    """
    distinct: set[str] = set()
    least = 1
    for request in requests:
        least = max(least, request.num_blocks(block_size))
        for sample, output in enumerate(request.outputs):
            tokens = request.prompt + output
            distinct.update(chained_hashes(tokens, block_size, request.num_computed(sample), (), request.salt))
    return sorted({max(least, round(share * len(distinct))) for share in shares})


def _looked_for(request: TokenRequest, block_size: int) -> list[str]:
    """The names of the blocks that a request looks for: at least one token is left over."""
    return chained_hashes(request.prompt, block_size, len(request.prompt) - 1, (), request.salt)


def _name(policy: str | MakePolicy) -> str:
    return policy if isinstance(policy, str) else str(getattr(policy, "name", getattr(policy, "__name__", policy)))


def prepared(
    policy: str | MakePolicy, num_blocks: int, seed: int, next_use: Callable[[Key], float]
) -> str | EvictionPolicy:
    """A policy as a pool takes it: a live one's name, or an object that was made for this pool and this future."""
    if not isinstance(policy, str):
        return policy(num_blocks, seed)
    if POLICIES[policy].live:
        return policy
    make: Any = POLICIES[policy]
    needs_future: EvictionPolicy = make(num_blocks, seed, next_use=next_use)
    return needs_future
