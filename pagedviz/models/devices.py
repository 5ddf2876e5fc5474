"""Names of devices and dtypes, as users write them, become torch's. Knows nothing of models."""

from __future__ import annotations

import torch

from pagedviz.errors import ConfigError

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
"""What K and V can be kept in."""


def find_device(device: str | torch.device) -> torch.device:
    """The device of that name; ``"auto"`` is a CUDA or ROCm accelerator where there is one.

    Raises:
        ConfigError: it cannot be used here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        valid = "'auto', 'cpu', 'cuda'" if torch.cuda.is_available() else "'auto', 'cpu'"
        raise ConfigError(f"device={device!r} cannot be used here; valid: {valid}") from error


def find_dtype(dtype: str | torch.dtype) -> str | torch.dtype:
    """The dtype of that name; ``"auto"`` stays, for whoever knows the weights.

    Raises:
        ConfigError: there is no such dtype, or K and V cannot be kept in it.
    """
    found = dtype if dtype == "auto" or isinstance(dtype, torch.dtype) else getattr(torch, str(dtype), None)
    if found not in ("auto", *DTYPES):
        raise ConfigError(f"dtype={dtype!r} is unknown; valid: 'auto', 'float32', 'float16', 'bfloat16'")
    return found
