"""Which policies there are, and which one is meant. Decides on no block: each policy has a module of its own.

To add one, put a module with a subclass of ``base.Policy`` into this folder; it is found by itself.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module

from pagedviz.errors import ConfigError
from pagedviz.memory.eviction.base import Policy
from pagedviz.memory.eviction.protocol import CachedBlock, EvictionPolicy, Key
from pagedviz.memory.plugin import check_choice

__all__ = ["POLICIES", "CachedBlock", "EvictionPolicy", "Key", "Policy", "make_policy"]

METHODS = {"add": ["block"], "remove": ["block", "evicted"], "victims": ["count"], "explain": ["block"]}


def find_policies(path: Iterable[str]) -> dict[str, type[Policy]]:
    """The policies in this package's modules that lie in the folders of ``path``: name -> class."""
    found: dict[str, type[Policy]] = {}
    for module in pkgutil.iter_modules(path, f"{__name__}."):
        for value in vars(import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Policy) and "name" in vars(value):
                found[value.name] = value
    return dict(sorted(found.items()))


POLICIES = find_policies(__path__)
LIVE = {name: policy for name, policy in POLICIES.items() if policy.live}


def make_policy(choice: str | EvictionPolicy, capacity: int, seed: int = 0) -> EvictionPolicy:
    """The policy that a user chose, by its name or as an object of the user's own.

    Args:
        choice: a name in ``POLICIES``, or an object with the methods of ``EvictionPolicy``.
        capacity: number of blocks in the tier.
        seed: for policies that draw lots.

    Raises:
        ConfigError: there is no such policy, it needs the future, or the object lacks a method or has it with
            other arguments.
    """
    if isinstance(choice, str) and choice in POLICIES and not POLICIES[choice].live:
        raise ConfigError(f"eviction={choice!r} needs the future: only for replays; valid: {', '.join(LIVE)}")
    check_choice("eviction", choice, LIVE, METHODS)
    return LIVE[choice](capacity, seed) if isinstance(choice, str) else choice
