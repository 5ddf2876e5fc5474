"""Whether a model is what it was when it was last looked at: what was computed before may not hold any more.

A look compares each parameter's identity, its version (writes in place count it up) and its address, which modules
there are, and which adapters of PEFT are active. It is taken in steps, so it has to be quick. It does not see
writes through ``parameter.data``, which move no version, other attributes of modules, and weights that accelerate
keeps elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, compress, repeat
from operator import attrgetter, ne
from typing import Any
from weakref import ref

import torch
from torch import nn

from pagedviz.models.offload import offloaded

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
        elsewhere = offloaded(self._model)
        kept = {name: part._parameters for name, part in modules.items() if part not in elsewhere}
        self._names = [f"{name}.{own}" for name, some in kept.items() for own in some]
        # Through a view of a dictionary one sees what is in it by then.
        self._places = [own.values() for own in kept.values() if own]
        self._bare = [own for own in kept.values() if not own]
        self._parts = [part._modules.values() for part in modules.values() if part._modules]
        self._states: list[Any] = [vars(part) for part in modules.values()]
        self._tuners = [part for part in modules.values() if _is_tuner(part)]
        in_places = list(chain.from_iterable(self._places))
        self._filled = [each is not None for each in in_places]  # where there is no bias, None is in its place
        weights = list(compress(in_places, self._filled))
        # An address or an id says which tensor it is only while that tensor lives. The references are weak, so that
        # weights that the user gives up do not stay because of them.
        gone: list[object] = []
        self._gone = gone
        self._refs = [ref(weight, gone.append) for weight in weights]
        self._version = _version if not any(map(torch.Tensor.is_inference, weights)) else id
        self._address = torch.Tensor.data_ptr if all(map(_has_address, weights)) else id
        self._seen_parts, self._seen_adapters = self._structure(), self._adapters()
        self._ids = list(map(id, in_places))
        self._versions = list(map(self._version, weights))
        self._num_writes = sum(self._versions)
        self._addresses = list(map(self._address, weights))

    def found(self, *, weights: bool = True) -> Change | None:
        """What has changed; None if nothing has.

        Args:
            weights: look at the weights' values too, which takes four times as long.
        """
        if self._structure() != self._seen_parts:
            return Change("modules of the model were replaced", structural=True)
        if self._adapters() != self._seen_adapters:
            return Change("adapters of the model were switched, scaled or merged", structural=True)
        return self._found_in_weights() if weights else None

    def _found_in_weights(self) -> Change | None:
        in_places = list(chain.from_iterable(self._places))
        ids = list(map(id, in_places))
        if any(self._bare) or ids != self._ids:
            if any(self._bare) or [each is not None for each in in_places] != self._filled:
                return Change("the model has other parameters", structural=True)
            return self._named(compress(self._names, map(ne, ids, self._ids)), "replaced")
        weights = list(compress(in_places, self._filled))
        names = compress(self._names, self._filled)
        # The same tensors' versions only grow, so if their sum is equal, each is; a sum is quicker than a list.
        if sum(map(self._version, weights)) != self._num_writes:
            return self._named(compress(names, map(ne, map(self._version, weights), self._versions)), "written")
        addresses = list(map(self._address, weights))
        if addresses != self._addresses:
            return self._named(compress(names, map(ne, addresses, self._addresses)), "moved or replaced")
        return Change("weights were replaced") if self._gone else None

    def _named(self, names: Iterable[str], what: str) -> Change:
        """A change of some weights' values; the first of them is told by name."""
        first, *others = names
        if not others:
            return Change(f"the weight {first} was {what}")
        return Change(f"{len(others) + 1:,} weights were {what}, {first} first")

    def _structure(self) -> list[Any]:
        """The modules, and what was put in place of a module's own ``forward``."""
        replaced = map(dict.get, self._states, repeat("forward"))
        return [*replaced, *chain.from_iterable(self._parts)]

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
