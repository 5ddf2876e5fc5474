"""Whether a model is what it was when it was last looked at: what was computed before may not hold any more.

A look compares each parameter's identity, its version (writes in place count it up) and its address, which modules
there are, and which adapters of PEFT are active. It is taken in steps, so it has to be quick. It does not see
writes through ``parameter.data``, which move no version, other attributes of modules, and weights that accelerate
keeps elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, repeat
from operator import attrgetter, getitem, ne
from typing import Any
from weakref import ref

import torch
from torch import nn

from pagedviz.models.offload import is_offloaded

_version = attrgetter("_version")
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
        places = [(f"{name}.{own}", some, own) for name, some in kept.items() for own in some]
        there = [place for place in places if place[1][place[2]] is not None]
        self._names, self._owners, self._keys = ([place[part] for place in there] for part in range(3))
        empty = [place for place in places if place[1][place[2]] is None]
        self._empty = [[place[part] for place in empty] for part in (1, 2)]
        self._all = list(kept.values())
        self._count = len(places)
        self._parts = [part._modules for part in modules.values() if part._modules]
        self._states: list[Any] = [vars(part) for part in modules.values()]
        self._tuners = [part for part in modules.values() if _is_tuner(part)]
        weights = self._weights()
        # An address or an id says which tensor it is only while that tensor lives. The references are weak, so that
        # weights that the user gives up do not stay because of them.
        gone: list[object] = []
        self._gone = gone
        self._refs = [ref(weight, gone.append) for weight in weights]
        self._version = _version if not any(map(torch.Tensor.is_inference, weights)) else id
        self._address = torch.Tensor.data_ptr if all(map(_has_address, weights)) else id
        self._seen_parts, self._seen_adapters = self._structure(), self._adapters()
        self._seen = self._marks(weights)

    def found(self, *, weights: bool = True) -> Change | None:
        """What has changed; None if nothing has.

        Args:
            weights: look at the weights' values too, which takes five times as long.
        """
        if self._structure() != self._seen_parts:
            return Change("modules of the model were replaced", structural=True)
        if self._adapters() != self._seen_adapters:
            return Change("adapters of the model were switched, scaled or merged", structural=True)
        return self._found_in_weights() if weights else None

    def _found_in_weights(self) -> Change | None:
        try:
            filled = any(value is not None for value in map(getitem, *self._empty))  # a bias, say
            now = self._marks(self._weights())
        except (KeyError, TypeError):  # one is not there, or None is in its place
            filled = True
        if filled or sum(map(len, self._all)) != self._count:
            return Change("the model has other parameters", structural=True)
        for seen, new, what in zip(self._seen, now, ("replaced", "written", "moved or replaced"), strict=True):
            if seen != new:
                return self._named(map(ne, seen, new), what)
        return Change("weights were replaced") if self._gone else None

    def _named(self, differs: Iterable[bool], what: str) -> Change:
        """A change of some weights' values; the first of them is told by name."""
        names = [name for name, other in zip(self._names, differs, strict=True) if other]
        if len(names) == 1:
            return Change(f"the weight {names[0]} was {what}")
        return Change(f"{len(names):,} weights were {what}, {names[0]} first")

    def _weights(self) -> list[torch.Tensor]:
        return list(map(getitem, self._owners, self._keys))

    def _marks(self, weights: list[torch.Tensor]) -> tuple[list[int], list[int], list[int]]:
        """What tells one content of the weights from another: the objects, their versions and addresses."""
        return list(map(id, weights)), list(map(self._version, weights)), list(map(self._address, weights))

    def _structure(self) -> list[Any]:
        """The modules, and what was put in place of a module's own ``forward``."""
        replaced = map(dict.get, self._states, repeat("forward"))
        return [*replaced, *chain.from_iterable(map(dict.values, self._parts))]

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


def _has_address(weight: torch.Tensor) -> bool:
    try:
        weight.data_ptr()
    except RuntimeError:  # a tensor without memory of its own, as of some quantized kinds
        return False
    return True
