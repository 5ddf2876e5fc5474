"""Unknown keywords: say which are valid, and which was probably meant."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar

from pagedviz.errors import ConfigError, PagedvizError

Class = TypeVar("Class", bound=type)


def check_keywords(what: str, given: Iterable[str], valid: Iterable[str], error: type[PagedvizError]) -> None:
    """Refuse keywords that are not among ``valid``.

    Raises:
        PagedvizError: of the class ``error``; the message lists the valid ones.
    """
    valid = sorted(valid)
    for name in given:
        if name not in valid:
            close = difflib.get_close_matches(name, valid, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise error(f"{what} has no keyword {name!r}{hint}; valid: {', '.join(valid)}")


def checked(error: type[PagedvizError] = ConfigError) -> Callable[[Class], Class]:
    """Let a keyword-only dataclass name its valid keywords when it gets another."""

    def decorate(cls: Class) -> Class:
        original = cls.__init__  # type: ignore[misc]
        names = [field.name for field in fields(cls)]

        @functools.wraps(original)
        def init(self: Any, **given: Any) -> None:
            check_keywords(cls.__name__, given, names, error)
            original(self, **given)

        cls.__init__ = init  # type: ignore[misc]
        return cls

    return decorate
