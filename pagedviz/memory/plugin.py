"""What a user chose for a decision that can be plugged in: a name that we know, or an object of the user's own.

Knows no decision: each has its protocol and its table of names elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pagedviz.errors import ConfigError


def check_choice(option: str, choice: Any, known: Mapping[str, Any], methods: Iterable[str]) -> None:
    """Refuse what is neither a name in ``known`` nor an object with ``methods``.

    Raises:
        ConfigError: the message names the option, the choice, and what is valid or missing.
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


def name_of(plugin: Any) -> str:
    """How a plug-in is called; one of the user's own may have no name but its class's."""
    return str(getattr(plugin, "name", type(plugin).__name__))
