"""Whether a model is what it was when it was last looked at: what was computed before may not hold any more.

A look compares each parameter's identity, its version (writes in place count it up) and its address, which modules
there are, and which adapters of PEFT are active. It is taken in every step, so it has to be quick. It does not see
writes through ``parameter.data``, which move no version, other attributes of modules, and weights that accelerate
keeps elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter, is_, is_not, ne
from typing import Any
from weakref import ref

import torch
from torch import nn

from pagedviz.models.offload import is_offloaded

_MARKS = ("_active_adapter", "_disable_adapters", "merged_adapters")
"""What PEFT's layers say of themselves."""


@dataclass(frozen=True)
class Change:
    """What was found: ``why`` as a sentence's end, and whether it concerns more than the weights' values."""

    why: str
    structural: bool = False


class Changes:
    """Compares a model with itself as it was at the last ``remember``."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.remember()

    def remember(self) -> None:
        """From now on, changes are those against the model as it is."""
        modules = dict(self._model.named_modules())
        kept = {name: part._parameters for name, part in modules.items() if not is_offloaded(part)}
        self._weights = [weights for weights in kept.values() if weights]
        self._names = [
            f"{name}.{own}" for name, weights in kept.items() for own in weights if weights[own] is not None
        ]
        self._parts = [part._modules for part in modules.values() if part._modules]
        self._states = [vars(part) for part in modules.values()]
        self._tuners = [part for part in modules.values() if _is_tuner(part)]
        now = self._parameters()
        self._version = attrgetter("_version") if all(map(_has_version, now)) else id
        self._address = torch.Tensor.data_ptr if all(map(_has_address, now)) else id
        # Weak, so that weights that the user has given up do not stay; no other object can be a living one's ref.
        self._refs = list(map(ref, now))
        self._versions, self._addresses = list(map(self._version, now)), list(map(self._address, now))
        self._seen_parts, self._seen_adapters = self._structure(), self._adapters()

    def found(self) -> Change | None:
        """What has changed; None if nothing has."""
        if self._structure() != self._seen_parts:
            return Change("modules of the model were replaced", structural=True)
        if self._adapters() != self._seen_adapters:
            return Change("adapters of the model were switched, scaled or merged", structural=True)
        return self._values_found(self._parameters())

    def _values_found(self, now: list[torch.Tensor]) -> Change | None:
        if len(now) != len(self._refs):
            return Change("the model has other parameters", structural=True)
        if not all(map(is_, map(ref, now), self._refs)):
            return self._named(map(is_not, map(ref, now), self._refs), "replaced")
        versions, addresses = list(map(self._version, now)), list(map(self._address, now))
        if versions != self._versions:
            return self._named(map(ne, versions, self._versions), "written")
        if addresses != self._addresses:
            return self._named(map(ne, addresses, self._addresses), "moved or replaced")
        return None

    def _named(self, differs: Iterable[bool], what: str) -> Change:
        """A change of some weights' values; the first of them is told by name."""
        names = [name for name, other in zip(self._names, differs, strict=True) if other]
        if len(names) == 1:
            return Change(f"the weight {names[0]} was {what}")
        return Change(f"{len(names):,} weights were {what}, {names[0]} first")

    def _parameters(self) -> list[torch.Tensor]:
        return [weight for weights in self._weights for weight in weights.values() if weight is not None]

    def _structure(self) -> list[Any]:
        """The modules, and what was put in place of a module's own ``forward``."""
        found: list[Any] = [state.get("forward") for state in self._states]
        for parts in self._parts:
            found += parts.values()
        return found

    def _adapters(self) -> list[Any]:
        found = [vars(self._model).get("active_adapter")]
        for tuner in self._tuners:
            for mark in _MARKS:
                value = getattr(tuner, mark, None)
                found.append(tuple(value) if isinstance(value, list) else value)
            scaling = vars(tuner).get("scaling")
            found.append(tuple(scaling.values()) if isinstance(scaling, dict) else None)
        return found


def _is_tuner(module: nn.Module) -> bool:
    """True for a layer of PEFT that adapters have changed."""
    return all(hasattr(module, mark) for mark in _MARKS[:2])


def _has_version(weight: torch.Tensor) -> bool:
    return not weight.is_inference()


def _has_address(weight: torch.Tensor) -> bool:
    try:
        weight.data_ptr()
    except RuntimeError:  # a tensor without memory of its own, as of some quantized kinds
        return False
    return True
