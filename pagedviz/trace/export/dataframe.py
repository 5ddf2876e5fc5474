"""A trace as a pandas DataFrame: one row an event, built column by column. pandas is imported when it is needed."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

import msgspec

from pagedviz.errors import MissingPackage
from pagedviz.events import KINDS, Event

if TYPE_CHECKING:
    import pandas as pd

    from pagedviz.trace.trace import Trace

_DTYPES: dict[Any, str] = {int: "Int64", str: "string", bool: "boolean"}
"""Of a column, by the annotation of its field; everything else is a tuple, in a column of objects."""

_OF_ALL = {"seq": "int64", "step": "int64", "t_us": "int64", "kind": "category"}


def dtypes() -> dict[str, str]:
    """The columns of every frame and their dtypes, in order; a field that several kinds have is one column."""
    found = dict(_OF_ALL)
    for kind in KINDS.values():
        for name, annotation in typing.get_type_hints(kind).items():
            dtype = _DTYPES.get(annotation, "object")
            elsewhere = found.setdefault(name, dtype)
            assert elsewhere == dtype, f"{name} of {kind.__name__} is not what it is elsewhere"
    return found


def to_dataframe(trace: Trace) -> pd.DataFrame:
    """The events of a trace.

    Raises:
        MissingPackage: pandas is not installed.
    """
    try:
        import numpy as np
        import pandas as pd
    except ImportError as error:
        raise MissingPackage("a DataFrame needs pandas: pip install 'pagedviz[pandas]'") from error
    count, lengths = trace.num_events, [len(batch.events) for batch in trace.batches]
    rows: dict[type[Event], tuple[list[int], list[tuple[Any, ...]]]] = {kind: ([], []) for kind in KINDS.values()}
    astuple = msgspec.structs.astuple
    for row, event in enumerate(trace.events):
        places, values = rows[type(event)]
        places.append(row)
        values.append(astuple(event))

    kinds = np.zeros(count, np.int8)
    wanted = {name: dtype for name, dtype in dtypes().items() if name not in _OF_ALL}
    stored = {"Int64": np.int64, "boolean": np.bool_}
    cells: dict[str, Any] = {name: np.zeros(count, stored.get(dtype, object)) for name, dtype in wanted.items()}
    missing = {name: np.ones(count, bool) for name in wanted}
    for number, (kind, (places, values)) in enumerate(rows.items()):
        where = np.array(places, np.int64)
        kinds[where] = number
        for name, column in zip(kind.__struct_fields__, zip(*values, strict=True), strict=bool(values)):
            cells[name][where] = np.fromiter(column, cells[name].dtype, len(column))
            missing[name][where] = False

    def finished(name: str, dtype: str) -> Any:
        if dtype == "Int64":
            return pd.arrays.IntegerArray(cells[name], missing[name])
        if dtype == "boolean":
            return pd.arrays.BooleanArray(cells[name], missing[name])
        cells[name][missing[name]] = pd.NA if dtype == "string" else None
        return pd.array(cells[name], dtype="string") if dtype == "string" else cells[name]

    columns = {
        "seq": np.arange(trace.start.seq, trace.start.seq + count),
        "step": np.repeat(np.array([batch.step for batch in trace.batches], np.int64), lengths),
        "t_us": np.repeat(np.array([batch.t_us for batch in trace.batches], np.int64), lengths),
        "kind": pd.Categorical.from_codes(kinds, list(KINDS)),
    }
    return pd.DataFrame({**columns, **{name: finished(name, dtype) for name, dtype in wanted.items()}})
