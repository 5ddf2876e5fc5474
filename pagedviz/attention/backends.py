"""Which kernels run: the table of attention backends, and why one cannot be had here.

A backend is a module with the five functions of ``pagedviz_kernels.reference``: ``write_kv``, ``decode``,
``prefill``, ``copy_blocks`` and ``swap_blocks``. To add one: such a module,
and a function with its entry in ``BACKENDS``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from pagedviz.errors import BackendUnavailable, ConfigError

if TYPE_CHECKING:
    import torch


def _torch(device: torch.device) -> ModuleType:  # noqa: ARG001 - runs anywhere
    return import_module("pagedviz_kernels.reference")


def _numba(device: torch.device) -> ModuleType:
    if device.type != "cpu":
        raise BackendUnavailable(f"attention='numba' runs on the CPU only, and the model is on {device}")
    try:
        return import_module("pagedviz_kernels.cpu")
    except ImportError as error:
        raise BackendUnavailable(f"attention='numba' needs numba: {error}") from error


def _triton(device: torch.device) -> ModuleType:
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise BackendUnavailable(
            "attention='triton' needs an accelerator; on a CPU set TRITON_INTERPRET=1 before Python starts "
            "(Triton's interpreter: slow, float32 or float16 only)"
        )
    try:
        return import_module("pagedviz_kernels.triton_ops")
    except ImportError as error:
        raise BackendUnavailable(f"attention='triton' needs triton: {error}") from error


BACKENDS: dict[str, Callable[[torch.device], ModuleType]] = {
    "torch": _torch,
    "numba": _numba,
    "triton": _triton,
}


def select_backend(name: str, device: torch.device) -> tuple[str, ModuleType]:
    """The backend of that name; ``"auto"`` is Triton on an accelerator and numba, else torch, on a CPU.

    Raises:
        ConfigError: there is no backend of that name.
        BackendUnavailable: it cannot run here; the message says why.
    """
    if name in BACKENDS:
        return name, BACKENDS[name](device)
    if name != "auto":
        raise ConfigError(f"attention={name!r} is unknown; valid: 'auto', {', '.join(map(repr, BACKENDS))}")
    for choice in ("numba", "torch") if device.type == "cpu" else ("triton", "torch"):
        try:
            return choice, BACKENDS[choice](device)
        except BackendUnavailable:
            continue
    raise AssertionError("the torch backend runs anywhere")
