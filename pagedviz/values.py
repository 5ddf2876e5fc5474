"""What a caller's number is: made plain at the call, or refused there; and how texts that are kept are written.

Knows no option and no array library.

A whole number is whatever Python counts with (``__index__``) but a bool: an int, numpy's and torch's scalars,
arrays of no dimension. What comes out is a plain ``int``, ``float`` or ``tuple``, so nothing further in meets
another library's arithmetic (numpy's numbers overflow, and no trace takes them).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from operator import index
from typing import TYPE_CHECKING, Any

from pagedviz.errors import ConfigError, PagedvizError

if TYPE_CHECKING:
    from typing_extensions import TypeIs


def plain(value: Any) -> Any:
    """A library's scalar, or its array of no dimension, as the Python value in it; anything else as it is."""
    if getattr(value, "ndim", None) == 0 and callable(item := getattr(value, "item", None)):
        return item()
    return value


def is_whole(value: Any) -> TypeIs[int]:
    """Whether it is a whole number, of whatever library."""
    if type(value) is int:
        return True
    value = plain(value)
    if isinstance(value, bool) or getattr(value, "ndim", None):  # torch counts with a list of one number, too
        return False
    try:
        index(value)
    except TypeError:
        return False
    return True


def whole(
    name: str,
    value: Any,
    least: int | None = None,
    most: int | None = None,
    *,
    none: bool = False,
    error: type[PagedvizError] = ConfigError,
) -> Any:
    """The value as an ``int`` (or None, where ``none`` allows it).

    Args:
        name: what the message calls it.
        value: what the caller gave.
        least: the smallest valid one; None: there is none.
        most: the largest valid one; None: there is none.
        none: take None too.
        error: what is raised.

    Raises:
        PagedvizError: of the class ``error``: it is no whole number, or out of range; the message names both.
    """
    if none and value is None:
        return None
    number = index(plain(value)) if is_whole(value) else None
    if number is None or (least is not None and number < least) or (most is not None and number > most):
        raise error(f"{name}={value!r}: must be a whole number{_between(least, most)}{' (or None)' * none}")
    return number


def wholes(
    name: str,
    values: Any,
    least: int | None = None,
    most: int | None = None,
    *,
    ordered: bool = False,
    error: type[PagedvizError] = ConfigError,
) -> tuple[int, ...]:
    """Whole numbers as a tuple of ``int``: from a list, a set (then sorted), a range, an array of one dimension.

    Args:
        name: what the message calls them.
        values: what the caller gave.
        least: the smallest valid one; None: there is none.
        most: the largest valid one; None: there is none.
        ordered: their order has a meaning, so that a set is refused.
        error: what is raised.

    Raises:
        PagedvizError: of the class ``error``: it is no such thing, or one of them is at fault.
    """
    many = listed(values)
    if many is None or (ordered and isinstance(values, AbstractSet)):
        raise error(f"{name}={values!r}: must be a list")
    numbers = tuple(whole(name, value, least, most, error=error) for value in many)
    return tuple(sorted(numbers)) if isinstance(values, AbstractSet) else numbers


def listed(values: Any) -> list[Any] | None:
    """What is in a list, set, range, array or other iterable; None if it is a text, a mapping or a single value."""
    if callable(tolist := getattr(values, "tolist", None)):
        values = tolist()
    if isinstance(values, (str, bytes, bytearray, Mapping)) or not isinstance(values, Iterable):
        return None
    return list(values)


def real(
    name: str,
    value: Any,
    low: float,
    high: float = math.inf,
    *,
    above: bool = False,
    error: type[PagedvizError] = ConfigError,
) -> float:
    """The value as a finite ``float``.

    Args:
        name: what the message calls it.
        value: what the caller gave.
        low: the smallest valid one.
        high: the largest valid one.
        above: ``low`` itself is not valid.
        error: what is raised.

    Raises:
        PagedvizError: of the class ``error``: it is no number, or out of range; the message names both.
    """
    number = _float(plain(value))
    if not math.isfinite(number) or not low <= number <= high or (above and number == low):
        least = "" if low == -math.inf else f", above {low:g}" if above else f", {low:g} or more"
        most = "" if high == math.inf else f", at most {high:g}"
        raise error(f"{name}={value!r}: must be a number{least}{most}")
    return number


def flag(name: str, value: Any, *, error: type[PagedvizError] = ConfigError) -> bool:
    """The value as a ``bool``.

    Raises:
        PagedvizError: of the class ``error``: it is neither True nor False.
    """
    made = plain(value)
    if not isinstance(made, bool):
        raise error(f"{name}={value!r}: must be True or False")
    return made


def counted(count: int, noun: str) -> str:
    """``1 block``, ``4 blocks``: as it stands in reasons, which traces keep."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def sayable(text: str) -> str:
    """Half of a surrogate pair, which no file and no page can hold, becomes its number."""
    return text.encode(errors="backslashreplace").decode()


def _float(value: Any) -> float:
    """NaN for what is no number."""
    counts = hasattr(type(value), "__float__") or hasattr(type(value), "__index__")
    if not counts or isinstance(value, bool) or getattr(value, "ndim", None):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _between(least: int | None, most: int | None) -> str:
    if most is None:
        return "" if least is None else f", {least} or more"
    return f" of at most {most}" if least is None else f" from {least} to {most}"
