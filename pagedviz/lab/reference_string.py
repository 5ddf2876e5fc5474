"""A reference string through a cache of a few frames: the textbook's experiment with page replacement.

Each reference names a content; it is found (a hit) or has to be put into a frame (a fault), and once all frames
are full a policy says which content goes. The policies are the engine's own, asked through the engine's prefix
cache. The string is flat: no requests, block tables or sharing, so no request is too long for the cache.
``cache_replay`` serves whole requests.

Belady, Nelson and Shedler, "An anomaly in space-time characteristics of certain programs running in a paging
machine" (CACM, 1969) is where more frames give more faults.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from pagedviz.errors import ConfigError
from pagedviz.lab.compare_policies import MakePolicy, Uses, prepared
from pagedviz.memory import POLICIES, EvictionPolicy
from pagedviz.memory.eviction import Key, make_policy
from pagedviz.memory.prefix_cache import PrefixCache
from pagedviz.values import plain, sayable, whole

TEXTBOOK = (1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5)
"""The string of Belady's anomaly: first in, first out has 9 faults in 3 frames, and 10 in 4."""


@dataclass(frozen=True, slots=True)
class Access:
    """What one reference did.

    Attributes:
        reference: the content that was asked for.
        frame: where it is from now on, from 0.
        hit: it was there already.
        evicted: the content that gave up the frame for it; None if the frame was free, or at a hit.
        why: the policy's reason for that, for a person; empty where nothing was evicted.
    """

    reference: Hashable
    frame: int
    hit: bool
    evicted: Hashable | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A reference string, served.

    Attributes:
        policy: the name of the eviction policy.
        size: how many frames there are.
        accesses: one for each reference, in order.
    """

    policy: str
    size: int
    accesses: tuple[Access, ...]

    @property
    def hits(self) -> int:
        """References that were found."""
        return sum(access.hit for access in self.accesses)

    @property
    def faults(self) -> int:
        """References that were not found."""
        return len(self.accesses) - self.hits

    @property
    def hit_rate(self) -> float:
        """Share of the references that were found; 0 if there were none."""
        return self.hits / max(1, len(self.accesses))

    def frames(self, count: int | None = None) -> tuple[Hashable | None, ...]:
        """What each frame holds after ``count`` references (None: after all); None in a frame that is still free.

        Raises:
            ConfigError: there are not so many references.
        """
        count = whole("count", len(self.accesses) if count is None else count, 0, len(self.accesses))
        held: list[Hashable | None] = [None] * self.size
        for access in self.accesses[:count]:
            held[access.frame] = access.reference
        return tuple(held)

    def __repr__(self) -> str:
        return f"<{self.policy}, {self.size} frames: {self.hits} hits, {self.faults} faults>"


def replay(
    references: Iterable[Hashable],
    policy: str | EvictionPolicy | MakePolicy = "lru",
    size: int = 3,
    *,
    seed: int = 0,
) -> Replayed:
    """Serve a reference string with one policy in a cache of ``size`` frames.

    ``replay("1 2 3 4 1 2 5 1 2 3 4 5", "fifo", 4).faults`` is 10, one more than with 3 frames: Belady's anomaly.

    Args:
        references: whole numbers, texts or other hashable values, in the order in which they are asked for. A
            single text is cut at its spaces, or, where it has none, into its characters.
        policy: a name in ``pagedviz.memory.POLICIES``, ``"belady"`` among them; an object with the four methods of
            an ``EvictionPolicy``; or a class of one, which is called with (size, seed).
        size: the number of frames, 1 or more.
        seed: for policies that draw lots.

    Raises:
        ConfigError: there is no such policy, it lacks a method, ``size`` is out of range, or a reference cannot be
            hashed; the message names it.
        PolicyError: a policy of one's own raised, or chose what it must not.
    """
    string = reference_string(references)
    size = whole("size", size, 1)
    future = Uses([name] for _, name in map(_key, string))
    cache = PrefixCache(_policy(policy, size, seed, future))
    held: list[Hashable | None] = []
    accesses = []
    for now, reference in enumerate(string):
        future.now, step, key = now, now + 1, _key(reference)
        entry = cache.find(key)
        if entry is not None:
            cache.revive(entry)
            entry.hits += 1
            accesses.append(Access(reference, entry.block, hit=True))
        elif len(held) < size:
            entry = cache.name(len(held), key, 0, step)
            held.append(reference)
            accesses.append(Access(reference, entry.block, hit=False))
        else:
            ((victim, why),) = cache.victims(1)
            cache.evict(victim)
            entry = cache.name(victim.block, key, 0, step)
            accesses.append(Access(reference, entry.block, hit=False, evicted=held[entry.block], why=why))
            held[entry.block] = reference
        cache.retire(entry, step)
    return Replayed(cache.policy_name, size, tuple(accesses))


def reference_string(references: Iterable[Hashable]) -> tuple[Hashable, ...]:
    """The references one by one, as ``replay`` takes them.

    Raises:
        ConfigError: it is no sequence, or a reference cannot be hashed.
    """
    if isinstance(references, str):
        return tuple(references.split() if any(map(str.isspace, references)) else references)
    try:
        string = tuple(map(plain, references))
    except TypeError:
        raise ConfigError(f"references={references!r}: must be a sequence of whole numbers or texts") from None
    for place, reference in enumerate(string):
        try:
            hash(reference)
        except TypeError:
            raise ConfigError(f"references[{place}]={reference!r}: must be a whole number or a text") from None
    return string


def _key(reference: Hashable) -> Key:
    """A content's name, which tells 1 from "1"."""
    return 0, sayable(repr(reference))


def _policy(choice: str | EvictionPolicy | MakePolicy, size: int, seed: int, future: Uses) -> EvictionPolicy:
    if isinstance(choice, str) and choice not in POLICIES:
        raise ConfigError(f"policy={choice!r}: unknown; valid: {', '.join(map(repr, POLICIES))}")
    made = prepared(choice, size, seed, future.next_use) if isinstance(choice, str) or callable(choice) else choice
    return make_policy(made, size, seed)
