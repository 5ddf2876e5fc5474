"""What a transformers model may be wrapped in when it is handed over: compiled, adapted, made parallel.

Decides which object inside is the model to run, or why there is none. Knows nothing of attention.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from pagedviz.errors import ModelError

_PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def without_compile(model: Any) -> Any:
    """The model that ``torch.compile``, ``DataParallel`` or ``DistributedDataParallel`` was given."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if isinstance(model, _PARALLEL):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def transformers_model(model: Any) -> Any:
    """The transformers model itself: of a ``PeftModel`` the one that its adapters were put into.

    Raises:
        ModelError: there is none inside, or what is around it does more than run it.
    """
    if callable(base := getattr(model, "get_base_model", None)):
        kind = getattr(getattr(model, "active_peft_config", None), "peft_type", None)
        if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
            raise ModelError(
                f"{type(model).__name__} with {getattr(kind, 'value', kind)} puts learned tokens before every "
                "prompt, which the engine does not; adapters that change layers, such as LoRA, work"
            )
        model = without_compile(base())
    if callable(getattr(getattr(model, "config", None), "get_text_config", None)):
        return model
    if isinstance(inner := getattr(model, "module", None), nn.Module):
        raise ModelError(
            f"{type(model).__name__} is no transformers model, but wraps {type(inner).__name__}: pass its .module"
        )
    raise ModelError(
        f"{model!r} is no transformers model; Engine.from_pretrained loads one from a name or a folder"
    )
