"""Standard output as it is: not every terminal knows every character, and a reader may leave before the end.

Decides what becomes of both. Knows nothing of what is printed. rich is imported when something is.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status


@contextmanager
def forgiving() -> Iterator[None]:
    """Within: what the terminal cannot show is replaced; a reader who leaves, as ``head`` does, ends it quietly."""
    stream = sys.stdout
    errors = stream.errors if isinstance(stream, io.TextIOWrapper) else None
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    try:
        yield
    except BrokenPipeError:
        pass
    finally:
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except (OSError, ValueError):
            _print_no_more()
        if isinstance(stream, io.TextIOWrapper) and not stream.closed:
            stream.reconfigure(errors=errors)


def _print_no_more() -> None:
    """Let what is still in the buffer go nowhere: else Python would try to write it at its end, and complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def knows_unicode() -> bool:
    """Whether standard output takes every character."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def console() -> Console:
    """Rich's console for standard output. When the pipe is closed it raises; rich's own would end the program."""
    from rich.console import Console

    class Raising(Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 - rich calls this while it handles BrokenPipeError

    return Raising()


@contextmanager
def working(note: str = "") -> Iterator[Status]:
    """Say on a terminal what is being done, as long as it is; ``status.update`` says what now."""
    from rich.console import Console

    told = Console(stderr=True)
    spinner = "dots" if told.encoding.startswith("utf") else "line"
    with told.status(note, spinner=spinner) as status:
        yield status
