"""Where a model computes whose weights accelerate keeps elsewhere. Knows nothing of attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pagedviz.errors import ModelError


def is_offloaded(module: nn.Module) -> bool:
    """True if weights of its own lie elsewhere: accelerate brings them for the length of a forward."""
    own = (*module._parameters.values(), *module._buffers.values())
    return any(tensor is not None and tensor.is_meta for tensor in own)


def execution_device(model: Any) -> torch.device:
    """Where the model's layers compute: where accelerate's hooks say, else where its weights are.

    Raises:
        ModelError: there are several such places, or weights that are nowhere.
    """
    found = {torch.device(place) for part in model.modules() for place in _places(vars(part).get("_hf_hook"))}
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


def _places(hook: Any) -> set[Any]:
    """The execution devices that a hook of accelerate, or the hooks in it, name."""
    named = {getattr(part, "execution_device", None) for part in getattr(hook, "hooks", (hook,))}
    return named - {None}
