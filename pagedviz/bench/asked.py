"""The engine that a caller wants measured. A benchmark makes it, and may size it for its own work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pagedviz.engine import Engine


@dataclass(frozen=True)
class AskedEngine:
    """What the caller chose of an engine.

    Attributes:
        model: alias, Hugging Face id, folder or .gguf file.
        options: as ``Engine.from_pretrained`` takes them.
        loading: entered while the engine is made, which may take a while.
    """

    model: str
    options: Mapping[str, Any]
    loading: Callable[[], AbstractContextManager[None]] = nullcontext

    def make(self, **own: Any) -> Engine:
        """The engine; ``own`` options overrule the caller's."""
        with self.loading():
            from pagedviz.engine import Engine

            return Engine.from_pretrained(self.model, **{**self.options, **own})
