"""What the browser must know of events, made of the records: families, headings, captions, counters, fields.

Decides only how it is written in ``run/schema.json``. ``make bundle`` writes it, a test keeps it fresh.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pagedviz.events import ASK_WHO, GUESSED, KINDS
from pagedviz.events.codec import VERSION
from pagedviz.events.kinds import FAMILIES, SECTIONS, Int

PLACE = Path(__file__).parent / "run" / "schema.json"

_TYPES: dict[Any, str] = {
    Int: "int",
    str: "text",
    bool: "truth",
    tuple[Int, ...]: "ints",
    tuple[str, ...]: "texts",
    tuple[tuple[Int, Int], ...]: "pairs",
    tuple[tuple[str, str], ...] | None: "params",
    tuple[tuple[Int, Int, Int], ...]: "triples",
}
"""What a field of an event may hold, and what the browser calls that."""


def schema(counters: Sequence[str]) -> str:
    """The text of ``schema.json``.

    Args:
        counters: what a state counts, in order.

    Raises:
        TypeError: a field holds what the browser cannot check, or something else than in another kind.
    """
    fields: dict[str, str] = {}
    for name, kind in KINDS.items():
        for field, annotation in typing.get_type_hints(kind, include_extras=True).items():
            if field not in kind.__struct_fields__:
                continue
            written = _TYPES.get(annotation)
            if written is None:
                raise TypeError(
                    f"{name}.{field} is a {annotation}: the browser checks {', '.join(_TYPES.values())}"
                )
            if fields.setdefault(field, written) != written:
                raise TypeError(f"{name}.{field} is {written}, and {fields[field]} in another kind of event")
    told_of = {name: kind.about.telling for name, kind in KINDS.items() if kind.about.telling}
    told = {
        "version": VERSION,
        "counters": list(counters),
        "fields": {field: written for field, written in fields.items() if written != "int"},
        "families": {
            family: {name: kind.about.counter for name, kind in KINDS.items() if kind.about.family == family}
            for family in FAMILIES
        },
        "foretold": list(GUESSED),
        "ask_who": list(ASK_WHO),
        "telling": sorted(told_of, key=told_of.__getitem__, reverse=True),
        "sections": {section: _kinds_of(section) for section in SECTIONS},
    }
    return json.dumps(told, indent=1) + "\n"


def _kinds_of(section: str) -> list[str]:
    """The kinds below a heading, in the order in which they are told."""
    found = [name for name, kind in KINDS.items() if kind.about.section == section]
    return sorted(found, key=lambda name: KINDS[name].about.rank)
