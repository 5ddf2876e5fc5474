"""Paged-attention kernels: five operations, each in plain torch, in numba and in Triton.

It knows nothing about requests, block managers or models, only tensors. The modules `reference`, `cpu` and
`triton_ops` all offer `write_kv`, `decode`, `prefill`, `copy_blocks` and `swap_blocks` with the same signatures;
`reference` is the specification. Each module is imported when it is first asked for, so a machine without
triton or numba lacks only the module that needs it.
"""

from importlib import import_module
from types import ModuleType

__all__ = ["cpu", "reference", "triton_ops"]


def __getattr__(name: str) -> ModuleType:
    """Import one implementation on first use (PEP 562)."""
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
