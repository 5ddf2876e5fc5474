"""A run as data: the engine's facts, the state it starts from, and everything that happened since.

Knows nothing about drawing. The file format is in ``events/codec`` and ``trace/file``, the meaning of events
in ``trace/reducer``.
"""

from __future__ import annotations

import copy
import os
import warnings
from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pagedviz.errors import ConfigError, DamagedTraceWarning, TraceFormatError, TruncatedTraceWarning
from pagedviz.events import AnyEvent, Batch
from pagedviz.events.codec import EngineInfo
from pagedviz.files import as_path, write
from pagedviz.trace import file
from pagedviz.trace.replay import Replay
from pagedviz.trace.state import State
from pagedviz.values import is_whole

if TYPE_CHECKING:
    import pandas as pd


class Trace:
    """A recorded run. Made by ``pagedviz.record`` or ``Trace.load``; it never changes.

    Attributes:
        info: what the engine was.
        start: the state before the first event. Leave it as it is: ``state_at`` gives you your own.
        batches: what happened, one batch per step (and one per call between two steps).
        truncated: the file it was loaded from ended in the middle of a line, which is not here.
        damage: what is wrong with the first line of the file that is not here, and where; "" if all are here.
    """

    def __init__(
        self,
        info: EngineInfo,
        start: State,
        batches: Iterable[Batch],
        *,
        truncated: bool = False,
        damage: str = "",
    ) -> None:
        self.info = info
        self.start = start
        self.batches = tuple(batches)
        self.truncated = truncated
        self.damage = damage
        self._replay = Replay(start, self.batches)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the trace holds, not what was computed from it."""
        held = (self.info, self.start, self.batches, self.truncated, self.damage)
        return _pickled, held

    def __deepcopy__(self, memo: dict[int, Any]) -> Trace:
        """A trace with a start of its own; what never changes is shared."""
        copied = _pickled(self.info, copy.deepcopy(self.start, memo), self.batches, self.truncated, self.damage)
        memo[id(self)] = copied
        return copied

    def __repr__(self) -> str:
        return f"<Trace of {self.info.name}: steps {self.first_step} to {self.last_step}, {self.num_events} events>"

    @cached_property
    def events(self) -> tuple[AnyEvent, ...]:
        """All events in order; event ``i`` has the number ``start.seq + i``."""
        return tuple(event for batch in self.batches for event in batch.events)

    @property
    def num_events(self) -> int:
        """How many events were recorded."""
        return self.batches[-1].seq + len(self.batches[-1].events) - self.start.seq if self.batches else 0

    @property
    def first_step(self) -> int:
        """The last step that was over when recording began; 0 for a run recorded from its beginning."""
        return self.start.step

    @property
    def last_step(self) -> int:
        """The last step that was recorded."""
        return self.batches[-1].step if self.batches else self.start.step

    @property
    def num_steps(self) -> int:
        """How many steps were recorded."""
        return self.last_step - self.first_step

    def state_at(self, step: int) -> State:
        """What memory looked like when ``step`` was over, and before the next began.

        Raises:
            ConfigError: the trace has no such step.
            TraceFormatError: an event on the way contradicts what came before.
        """
        if not is_whole(step) or not self.first_step <= step <= self.last_step:
            raise ConfigError(
                f"step {step!r} is not in the trace, which has steps {self.first_step} to {self.last_step}"
            )
        try:
            return self._replay.after(bisect_right(self.batches, int(step), key=lambda batch: batch.step))
        except TraceFormatError as error:
            told = f"{error}; Trace.load(path, sound_part=True) reads what is before it"
            raise TraceFormatError(told) from error

    def to_bytes(self) -> bytes:
        """The trace as it is in a file, not compressed."""
        return file.to_bytes(self.info, self.start, self.batches)

    def save(self, path: str | os.PathLike[str], *, compress: bool = True) -> None:
        """Write the trace to a file, whole or not at all; links are followed, FIFOs and devices written into.

        Args:
            path: the file; what it is called does not matter, ``load`` and the page look at its bytes.
            compress: pack it with gzip, to about a quarter; False writes lines that a person can read.

        Raises:
            TraceFileError: the file cannot be written.
        """
        data = self.to_bytes()
        write(path, file.pack(data) if compress else data)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the run as one page: the dashboard and the trace, for any browser, without network or kernel.

        Whole or not at all. Another trace file can be dropped on the page.

        Raises:
            TraceFileError: the file cannot be written.
        """
        from pagedviz.browser.page import page

        write(path, page(file.pack(self.to_bytes()), self.info.name, self.damage), "page")

    def to_perfetto(self, path: str | os.PathLike[str]) -> None:
        """Write the run as Chrome trace events (JSON), which https://ui.perfetto.dev opens.

        Whole or not at all, gzipped if the name ends in ``.gz``. ``trace/export/perfetto`` tells what is drawn
        where.

        Raises:
            TraceFileError: the file cannot be written.
            TraceFormatError: an event contradicts what came before.
        """
        from pagedviz.trace.export.perfetto import to_json

        packed = as_path(path).suffix == ".gz"
        data = to_json(self)
        write(path, file.pack(data) if packed else data)

    def to_dataframe(self) -> pd.DataFrame:
        """The events as a pandas DataFrame, a row each (``pip install 'pagedviz[pandas]'``).

        Columns: ``seq``, ``step`` and ``t_us`` (microseconds since the engine began) as int64, ``kind`` as
        category, then one per field that events have, in the order of ``pagedviz.events.records``. Numbers are
        Int64, texts string, truths boolean, with ``<NA>`` where the event has no such field; lists are tuples or
        None.

        Raises:
            MissingPackage: pandas is not installed.
        """
        from pagedviz.trace.export.dataframe import to_dataframe

        return to_dataframe(self)

    @classmethod
    def from_bytes(cls, data: bytes, *, sound_part: bool = False) -> Trace:
        """The trace that ``to_bytes`` made, or the bytes of a file, gzipped or not; see ``load``.

        Raises:
            TraceFormatError: the bytes are no trace, or a damaged one.
        """
        return cls._of(file.from_bytes(data, sound_part=sound_part), "the trace")

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, sound_part: bool = False) -> Trace:
        """Read a trace file, gzipped or not.

        A file that was cut off is read up to its last whole line, with a ``TruncatedTraceWarning``.

        Args:
            path: the file.
            sound_part: of a damaged file, read what is before the damage, with a ``DamagedTraceWarning``. Every
                event is then looked at: no state of such a trace raises. ``trace.damage`` says what was wrong.

        Raises:
            TraceFileError: the file is not there, or cannot be read.
            TraceFormatError: it is no trace, of a newer version, or damaged; the message says where.
        """
        return cls._of(file.read(path, sound_part=sound_part), os.fspath(path))

    @classmethod
    def _of(cls, parts: file.Parts, name: str) -> Trace:
        trace = cls(parts.info, parts.start, parts.batches, truncated=parts.truncated, damage=parts.damage)
        if parts.truncated:
            warnings.warn(f"{name} is {parts.damage}", TruncatedTraceWarning, stacklevel=3)
        elif parts.damage:
            told = f"{name}: {parts.damage}; what is before it, to step {trace.last_step}, was read"
            warnings.warn(told, DamagedTraceWarning, stacklevel=3)
        return trace


def _pickled(
    info: EngineInfo,
    start: State,
    batches: tuple[Batch, ...],
    truncated: bool,  # noqa: FBT001 - pickle passes by position
    damage: str,
) -> Trace:
    """The trace that was pickled."""
    return Trace(info, start, batches, truncated=truncated, damage=damage)
