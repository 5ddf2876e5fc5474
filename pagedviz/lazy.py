"""Names of a package that are imported when they are first used (PEP 562), so that importing it loads little.

Knows no name; each package says where its own are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The ``__getattr__`` of a package.

    Args:
        package: its ``__name__``.
        homes: name -> the module that has it; a module of the package itself has its own name as its home.

    Returns:
        a function that raises AttributeError for all other names.
    """

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = import_module(homes[name])
        value: object = home if homes[name] == f"{package}.{name}" else getattr(home, name)
        setattr(sys.modules[package], name, value)  # the next look-up does not come here
        return value

    return find
