"""What a user chose for a decision that can be plugged in: a name that we know, or an object of the user's own.

What it is given and what it says is checked here. Knows no decision: each has its protocol and its table of names
elsewhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from pagedviz.errors import ConfigError, PolicyError
from pagedviz.values import sayable


def check_choice(option: str, choice: Any, known: Mapping[str, Any], methods: Mapping[str, Iterable[str]]) -> None:
    """Refuse what is neither a name in ``known`` nor an object with ``methods``: name -> the arguments it is given.

    Raises:
        ConfigError: the message names the option, the choice, and what is valid, missing or cannot be called.
    """
    if isinstance(choice, str):
        if choice not in known:
            raise ConfigError(f"{option}={choice!r} is unknown; valid: {', '.join(map(repr, known))}")
        return
    if isinstance(choice, type):
        raise ConfigError(f"{option} is the class {choice.__name__}: give its name, or an object of it")
    missing = [method for method in methods if not callable(getattr(choice, method, None))]
    if missing:
        raise ConfigError(f"{option} is a {type(choice).__name__}, which lacks {', '.join(missing)}")
    for method, arguments in methods.items():
        _check_call(option, choice, method, tuple(arguments))


def _check_call(option: str, choice: Any, method: str, arguments: tuple[str, ...]) -> None:
    """All arguments are given by position, so that their names are the plug-in's own affair."""
    try:
        signature = inspect.signature(getattr(choice, method))
    except (TypeError, ValueError):  # some callables written in C do not say
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        own = f"{type(choice).__name__}.{method}{signature}"
        raise ConfigError(
            f"{option}: {own} cannot be called as {method}({', '.join(arguments)}): {error}"
        ) from None


def name_of(plugin: Any) -> str:
    """How a plug-in is called; one of the user's own may have no name but its class's."""
    return sayable(str(getattr(plugin, "name", type(plugin).__name__)))


def explanation(what: str, plugin: Any, answer: Any) -> str:
    """What a plug-in's ``explain`` answered, as a text that can be written down.

    Raises:
        PolicyError: it is no text; the message names ``what`` plug-in it is.
    """
    if not isinstance(answer, str):
        raise PolicyError(f"{what} {name_of(plugin)!r} explained its choice with {answer!r}: must be a text")
    return sayable(answer)
