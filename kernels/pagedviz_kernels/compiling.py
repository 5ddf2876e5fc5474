"""Compile a loop with numba, and keep the machine code for the next process where there is room to.

That is beside the source, or in the user's cache. In a read-only install without a home there is neither, and numba
then refuses to compile at all; on a full disk it fails when the code is ready. Here the loop runs either way, and
the user is told once. Knows nothing about what the loops do.
"""

import functools
import warnings
from collections.abc import Callable

from numba import njit

_told: list[str] = []
"""Why nothing is kept, once it was said."""


def compiled(**options: object) -> Callable:
    """``numba.njit``, with a cache if one can be had."""

    def decorate(loop: Callable) -> Callable:
        try:
            dispatcher = njit(cache=True, **options)(loop)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            _say("neither the package's folder nor the user's cache can be written")
            return njit(**options)(loop)
        cache = dispatcher._cache  # noqa: SLF001 -- numba has no public name for where it keeps what it compiled
        cache.save_overload = _forgiving(cache.save_overload)
        return dispatcher

    return decorate


def _forgiving(save: Callable) -> Callable:
    """Machine code that cannot be kept is no reason not to run it."""

    @functools.wraps(save)
    def try_to_save(*arguments: object) -> None:
        try:
            save(*arguments)
        except OSError as error:
            _say(str(error))

    return try_to_save


def _say(why: str) -> None:
    """Warn the first time: a loop after the other would say the same."""
    if _told:
        return
    _told.append(why)
    warnings.warn(
        f"compiled loops are not kept, so that the next process compiles them again ({why}); "
        "NUMBA_CACHE_DIR may name a folder that can be written",
        stacklevel=2,
    )
