"""Which request is preempted when the pool is full. A plug-in with one question and its explanation.

Knows nothing of blocks that must be freed or of how: the scheduler asks again until there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar, Protocol

from pagedviz.engine.request import Request
from pagedviz.memory.plugin import check_choice


@dataclass(frozen=True)
class Candidate:
    """A running request that may be preempted.

    Attributes:
        tokens: how many of its tokens have their K and V in memory; what its sequences share counts once.
    """

    request: Request
    tokens: int


class VictimPolicy(Protocol):
    """Chooses among running requests, given in the order in which they came; never asked about the first."""

    name: ClassVar[str]
    summary: ClassVar[str]

    def choose(self, candidates: Sequence[Candidate]) -> Candidate:
        """One of the candidates, of which there is at least one."""

    def explain(self, victim: Candidate) -> str:
        """Why this one, for a person."""


class Newest:
    """Last come, first preempted, as in vLLM: who has waited longest keeps its blocks."""

    name: ClassVar[str] = "newest"
    summary: ClassVar[str] = "the request that came last"

    def choose(self, candidates: Sequence[Candidate]) -> Candidate:
        """The last one."""
        return candidates[-1]

    def explain(self, victim: Candidate) -> str:
        """In words."""
        return f"{victim.request.id} came last"


class FewestTokensLost:
    """The one with the least to compute again; of equals the newest."""

    name: ClassVar[str] = "fewest_tokens_lost"
    summary: ClassVar[str] = "the request with the fewest tokens in memory"

    def choose(self, candidates: Sequence[Candidate]) -> Candidate:
        """The smallest."""
        return min(reversed(candidates), key=attrgetter("tokens"))

    def explain(self, victim: Candidate) -> str:
        """In words."""
        return f"{victim.request.id} has the fewest tokens in memory, {victim.tokens}"


class Largest:
    """The one with the most tokens in memory: the fewest requests make way; of equals the newest."""

    name: ClassVar[str] = "largest"
    summary: ClassVar[str] = "the request with the most tokens in memory"

    def choose(self, candidates: Sequence[Candidate]) -> Candidate:
        """The largest."""
        return max(reversed(candidates), key=attrgetter("tokens"))

    def explain(self, victim: Candidate) -> str:
        """In words."""
        return f"{victim.request.id} has the most tokens in memory, {victim.tokens}"


class Priority:
    """The least important: the highest ``priority`` number, as in vLLM; of equals the newest."""

    name: ClassVar[str] = "priority"
    summary: ClassVar[str] = "the request with the highest priority number, which is the least important"

    def choose(self, candidates: Sequence[Candidate]) -> Candidate:
        """The least important."""
        return max(reversed(candidates), key=lambda candidate: candidate.request.params.priority)

    def explain(self, victim: Candidate) -> str:
        """In words."""
        return f"{victim.request.id} has priority {victim.request.params.priority}, the least important"


VICTIMS: dict[str, type[VictimPolicy]] = {
    policy.name: policy for policy in (Newest, FewestTokensLost, Largest, Priority)
}


def make_victim_policy(choice: str | VictimPolicy) -> VictimPolicy:
    """The policy of that name, or the object itself.

    Raises:
        ConfigError: there is no such policy, or the object lacks a method or has it with other arguments.
    """
    check_choice("victim", choice, VICTIMS, {"choose": ["candidates"], "explain": ["victim"]})
    return VICTIMS[choice]() if isinstance(choice, str) else choice
