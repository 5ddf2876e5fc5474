"""Models whose weights accelerate keeps elsewhere: where they compute, and how two of them do so at a time.

Knows nothing of attention.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from pagedviz.errors import ModelError


def offloaded(model: nn.Module) -> set[nn.Module]:
    """The modules whose weights lie elsewhere: accelerate brings them for the length of a forward.

    They are known by their hooks, as a forward may run meanwhile, with the weights there.
    """
    found: set[nn.Module] = set()
    for part in model.modules():
        own = (*part._parameters.values(), *part._buffers.values())
        if any(tensor is not None and tensor.is_meta for tensor in own):
            found.add(part)
        for hook in _hooks(vars(part).get("_hf_hook")):
            if getattr(hook, "offload", False):
                found.update(part.modules() if getattr(hook, "place_submodules", False) else (part,))
    return found


def execution_device(model: Any) -> torch.device:
    """Where the model's layers compute: where accelerate's hooks say, else where its weights are.

    Raises:
        ModelError: there are several such places, or weights that are nowhere.
    """
    hooks = (hook for part in model.modules() for hook in _hooks(vars(part).get("_hf_hook")))
    named = (getattr(hook, "execution_device", None) for hook in hooks)
    found = {torch.device(place) for place in named if place is not None}
    if len(found) > 1:
        raise ModelError(
            f"the layers of {type(model).__name__} run on {', '.join(sorted(map(str, found)))}: paged attention "
            'here keeps K and V on one device; load the model with device_map="cpu" or another single device'
        )
    if found:
        return found.pop()
    if model.device.type == "meta":
        raise ModelError(f"{type(model).__name__} has no weights (its device is 'meta'): load them first")
    return model.device  # type: ignore[no-any-return]


class Hooks:
    """Copies of accelerate's hooks for one replica.

    A hook notes what it brought, to take it away after the layer, and the hooks of a model share a table of the
    tied weights that they brought. So only one forward of a model at a time may use them.
    """

    def __init__(self) -> None:
        self._tables: dict[int, Any] = {}

    def copy(self, hook: Any) -> Any:
        """The hook with notes of its own; with the hooks of a sequence, if it is one."""
        twin = copy.copy(hook)
        if (parts := getattr(hook, "hooks", None)) is not None:
            twin.hooks = tuple(map(self.copy, parts))
        if (table := getattr(hook, "tied_params_map", None)) is not None:
            # What a running forward has brought just now is not for this one: it will be gone.
            twin.tied_params_map = self._tables.setdefault(id(table), {address: {} for address in list(table)})
        return twin


def _hooks(hook: Any) -> tuple[Any, ...]:
    """A hook of accelerate, or the hooks in it; none of none."""
    return () if hook is None else tuple(getattr(hook, "hooks", (hook,)))
