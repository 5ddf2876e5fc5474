"""A model of the engine's own that shares the weights of the user's: modules are copied, their parameters are not.

So nothing of the user's model has to be changed for a forward, and any number of engines and the model itself can
run at the same time. The copy has configurations of its own, is always in evaluation mode, and runs no compiled
code. Dictionaries of parameters, buffers and hooks are the very ones of the original: a parameter or a hook that
is put there later is seen here too. Replaced modules and other attributes are not: ``changes`` looks for those.
Knows nothing of attention.
"""

from __future__ import annotations

import copy
import functools
from operator import is_
from types import MethodType
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig

from pagedviz.models.offload import Hooks, offloaded

_OWN = ("_modules", "_parameters", "_buffers", "training", "_compiled_call_impl")


class Replica:
    """The copy (``model``), and which of its parts stands for which part of the original."""

    def __init__(self, original: nn.Module) -> None:
        self._original = original  # kept alive, and with it the ids below
        self._known: dict[int, Any] = {}
        self._copied: dict[int, Any] = {}
        self._hooks = Hooks()
        self._offloaded = offloaded(original)
        self.configs: list[Any] = []
        """All that are in use, as a layer may have come from another model; those with others inside come first."""
        self.model: Any = self._module(original)
        self.configs.sort(key=lambda config: not config.sub_configs)

    def of(self, part: nn.Module) -> Any:
        """What stands here for a module of the original."""
        return self._known[id(part)]

    def _module(self, module: nn.Module) -> nn.Module:
        if (found := self._known.get(id(module))) is not None:
            return found  # type: ignore[no-any-return]
        if isinstance(module, torch.jit.ScriptModule):
            return module  # its attributes lie in C++; it has no configuration
        twin = self._known[id(module)] = object.__new__(type(module))
        state = vars(twin)
        state.update(vars(module))
        state["_modules"] = {name: part and self._module(part) for name, part in module._modules.items()}
        state["training"] = False
        state["_compiled_call_impl"] = None
        if module in self._offloaded:  # accelerate will put weights into them, and take them out again
            state["_parameters"], state["_buffers"] = dict(module._parameters), dict(module._buffers)
        for name, value in vars(module).items():
            if name not in _OWN:
                state[name] = self._hooks.copy(value) if name == "_hf_hook" else self._value(value)
        return twin

    def _value(self, value: Any) -> Any:  # noqa: PLR0911 - a kind of value each
        """An attribute as the copy has it: what leads to modules or configurations leads to the copies."""
        if id(value) in self._known:
            return self._known[id(value)]
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, PretrainedConfig):
            return self._config(value)
        if isinstance(value, MethodType) and isinstance(value.__self__, nn.Module):
            return MethodType(value.__func__, self._module(value.__self__))
        if (plain := getattr(value, "_torchdynamo_orig_callable", None)) is not None:
            return self._value(plain)  # as in model.forward = torch.compile(model.forward)
        if type(value) is functools.partial:  # accelerate's way to put a hook around a module's forward
            bound = functools.partial(value.func, *self._values(value.args), **self._values(value.keywords))
            vars(bound).update(vars(value))
            return bound
        return self._values(value)

    def _values(self, value: Any) -> Any:
        """A list, tuple or dictionary with such attributes in it; the very same if it has none."""
        if type(value) not in (list, tuple, dict) or id(value) in self._known:
            return value
        self._known[id(value)] = value  # should it lead to itself
        parts = list(value.values() if isinstance(value, dict) else value)
        new = [self._value(part) for part in parts]
        if all(map(is_, new, parts)):
            return value
        changed = dict(zip(value, new, strict=True)) if isinstance(value, dict) else type(value)(new)
        self._known[id(value)] = changed
        return changed

    def _config(self, config: PretrainedConfig) -> Any:
        if (found := self._known.get(id(config))) is not None:
            return found
        twin = self._known[id(config)] = copy.deepcopy(config, self._copied)
        self.configs.append(twin)
        # With these set, transformers would register hooks for them, in the dictionaries that are shared.
        twin.output_hidden_states = twin.output_attentions = False
        twin.return_dict = True
        return twin
