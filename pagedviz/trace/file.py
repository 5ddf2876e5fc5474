"""Trace files: bytes on disk to a header, a keyframe and batches, and back; plain or gzipped.

How a line is written is decided in ``events/codec``. This module decides what is forgiven: a file whose last
line was cut off, as a crash leaves it, loses that line only. Everything else that is wrong is an error that
says where, unless the caller asks for the sound part: what is before it.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from pagedviz.errors import TraceFileError, TraceFormatError
from pagedviz.events import Batch, codec
from pagedviz.files import as_path, why
from pagedviz.trace.invariants import contradictions
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import State

MOST_UNPACKED = 1 << 28
MOST_GROWTH = 100
"""A gzipped trace may grow to 256 MiB, or to a hundred times its size: real ones grow four- to thirtyfold."""

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_LEVEL = 4
"""A million events: 13 MB in 0.6 s. Level 9 takes 3.2 s for 12 MB, level 1 0.4 s for 15 MB."""
_CHUNK = 1 << 14
_FIRST_BATCH = 3
"""The line of the first batch."""


class Parts(NamedTuple):
    """What a trace file holds.

    ``damage`` says what is wrong with the first line that is not here, and where; "" if all are.
    ``truncated`` says that it is the last line, and that it was cut off.
    """

    info: codec.EngineInfo
    start: State
    batches: tuple[Batch, ...]
    truncated: bool
    damage: str


def to_bytes(info: codec.EngineInfo, start: State, batches: Iterable[Batch]) -> bytes:
    """A whole trace, not compressed."""
    lines = [codec.encode_header(info), codec.encode_keyframe(start), *map(codec.encode_batch, batches)]
    return b"".join(lines)


def from_bytes(data: bytes, *, sound_part: bool = False) -> Parts:
    """The parts of a trace, gzipped or not; of a damaged one, if ``sound_part``, the batches before the damage.

    Sound is what decodes, has no gaps, and contradicts nothing that came before.

    Raises:
        TraceFormatError: the bytes are no trace, or of a newer version, or damaged; the message names the line.
    """
    cut, problem = False, ""
    if data.startswith(_GZIP_MAGIC):
        data, cut, problem = _unzip(data)
    if not data:
        raise TraceFormatError(problem or f"not a pagedviz trace: it is {'cut off in line 1' if cut else 'empty'}")
    lines = io.BytesIO(data)
    info = _info(lines.readline())
    start = _start(lines.readline())
    batches, damage, tail = _batches(lines, start)
    if problem and not damage:
        damage = f"{problem}, behind line {len(batches) + 2}"
    if damage and not sound_part:
        end = batches[-1].step if batches else start.step
        raise TraceFormatError(
            f"{damage}; Trace.load(path, sound_part=True) reads what is before it, to step {end}"
        )
    if sound_part:
        batches, contradiction = _sound(start, batches)
        damage = contradiction or damage
    truncated = not damage and (cut or tail)
    if truncated:
        end = batches[-1].step if batches else start.step
        damage = f"cut off behind line {len(batches) + 2}, in step {end} or later"
    return Parts(info, start, tuple(batches), truncated, damage)


def _info(line: bytes) -> codec.EngineInfo:
    """What the first line says of the engine."""
    info = codec.decode_header(line).engine
    if not line.endswith(b"\n"):
        raise TraceFormatError("the trace is cut off in line 1, before its first state")
    return info


def _start(line: bytes) -> State:
    """The state in the second line."""
    if not line.endswith(b"\n"):
        raise TraceFormatError("the trace is cut off in line 2, before its first state")
    start: State = codec.decode_keyframe(line, State)
    for problem in contradictions(start):
        raise TraceFormatError(f"the keyframe in line 2 contradicts itself: {problem}")
    return start


def _batches(lines: Iterable[bytes], start: State) -> tuple[list[Batch], str, bool]:
    """Batches, numbered without gaps, steps never going back, up to the first line that is damaged.

    With what is wrong with that line, and whether it is the last and was cut off.
    """
    batches: list[Batch] = []
    seq, step = start.seq, start.step
    for number, line in enumerate(lines, start=_FIRST_BATCH):
        if not line.endswith(b"\n"):
            return batches, "", True
        try:
            batch = codec.decode_batch(line)
        except TraceFormatError as error:
            return batches, f"line {number} is damaged: {error}", False
        if batch.seq != seq:
            return batches, f"line {number} begins with event {batch.seq}; {seq} was expected", False
        if batch.step < step:
            return batches, f"line {number} goes back from step {step} to {batch.step}", False
        seq, step = seq + len(batch.events), batch.step
        batches.append(batch)
    return batches, "", False


def _sound(start: State, batches: list[Batch]) -> tuple[list[Batch], str]:
    """The batches before the first one that contradicts what came before it, and what is wrong with that."""
    state = start.copy()
    for index, batch in enumerate(batches):
        try:
            apply_batch(state, batch)
        except TraceFormatError as error:
            return batches[:index], f"line {index + _FIRST_BATCH} is damaged: {error}"
    return batches, ""


def _unzip(data: bytes) -> tuple[bytes, bool, str]:
    """What can be decompressed, whether the stream was cut off, and what is wrong with it.

    Raises:
        TraceFormatError: it grows beyond all measure.
    """
    most = max(MOST_UNPACKED, MOST_GROWTH * len(data))
    parts: list[bytes] = []
    size = at = 0
    eof = True
    while at < len(data):
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        while at < len(data) and not stream.eof:
            chunk = data[at : at + _CHUNK]
            try:
                parts.append(stream.decompress(chunk))
            except zlib.error as error:
                return b"".join(parts), False, f"the gzip stream of the trace is damaged: {error}"
            at += len(chunk)
            size += len(parts[-1])
            if size > most:
                raise TraceFormatError(
                    f"not a pagedviz trace: gzip of {len(data):,} bytes that grow to more than {most:,}"
                )
        at -= len(stream.unused_data)
        eof = stream.eof
    return b"".join(parts), not eof, ""


def read(path: str | os.PathLike[str], *, sound_part: bool = False) -> Parts:
    """The parts of a trace file, as ``from_bytes`` has them.

    Raises:
        ConfigError: the path is none.
        TraceFileError: it is not there, or cannot be read.
        TraceFormatError: it is no trace, or a damaged one.
    """
    source = as_path(path)
    try:
        data = source.read_bytes()
    except (OSError, ValueError) as error:
        raise TraceFileError(f"cannot read the trace {os.fspath(path)!r}: {why(error)}") from error
    try:
        return from_bytes(data, sound_part=sound_part)
    except TraceFormatError as error:
        raise TraceFormatError(f"{os.fspath(path)}: {error}") from error


def pack(data: bytes) -> bytes:
    """The bytes gzipped."""
    return gzip.compress(data, _GZIP_LEVEL, mtime=0)  # no clock: equal traces are equal files
