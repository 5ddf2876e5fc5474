"""What is one request's fault alone, so that it ends and others go on. Knows how it is told, not what ends it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from pagedviz.engine.request import Request

_MACHINE = (MemoryError, torch.OutOfMemoryError, *filter(None, [getattr(torch, "AcceleratorError", None)]))
"""Errors of the machine, which may hit any request: the step fails, and can be taken again."""


class RequestFault(Exception):
    """A request cannot have its next token."""

    def __init__(self, request: Request, position: int, why: str) -> None:
        super().__init__(f"request {request.id}, position {position}: {why}")


@contextlib.contextmanager
def blaming(
    request: Request, position: int, kinds: type[Exception] | tuple[type[Exception], ...] = Exception
) -> Iterator[None]:
    """Errors in here are this request's fault.

    Raises:
        RequestFault: one of ``kinds`` was raised.
    """
    try:
        yield
    except (RequestFault, *_MACHINE):
        raise
    except kinds as error:
        raise RequestFault(request, position, f"{type(error).__name__}: {error}") from error


def what_is_wrong(row: torch.Tensor) -> str:
    """Why no token can be drawn from these logits."""
    if row.isnan().any():
        return "the model's logits are NaN"
    if row.isposinf().any():
        return "the model's logits are infinite"
    return "no token is possible: all logits are -inf"
