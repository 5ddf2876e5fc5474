"""Trace files: bytes on disk to a header, a keyframe and batches, and back; plain or gzipped.

How a line is written is decided in ``events/codec``. This module decides what is forgiven: a file whose last
line was cut off, as a crash leaves it, loses that line only. Everything else that is wrong is an error that
says where.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pagedviz.errors import TraceFileError, TraceFormatError
from pagedviz.events import Batch, codec
from pagedviz.trace.invariants import contradictions
from pagedviz.trace.state import State

_GZIP_MAGIC = b"\x1f\x8b"


class Parts(NamedTuple):
    """What a trace file holds. ``truncated`` says that its last line was cut off and is not here."""

    info: codec.EngineInfo
    start: State
    batches: tuple[Batch, ...]
    truncated: bool


def to_bytes(info: codec.EngineInfo, start: State, batches: Iterable[Batch]) -> bytes:
    """A whole trace, not compressed."""
    lines = [codec.encode_header(info), codec.encode_keyframe(start), *map(codec.encode_batch, batches)]
    return b"".join(lines)


def from_bytes(data: bytes) -> Parts:
    """The parts of a trace, gzipped or not.

    Raises:
        TraceFormatError: the bytes are no trace, or a damaged one; the message names the line.
    """
    cut = False
    if data.startswith(_GZIP_MAGIC):
        data, cut = _unzip(data)
    if not data:
        raise TraceFormatError(f"not a pagedviz trace: it is {'cut off in line 1' if cut else 'empty'}")
    *lines, tail = data.split(b"\n")
    cut = cut or bool(tail)
    if not lines:
        codec.decode_header(tail)  # says what is wrong, unless the cut is right behind the header
        raise TraceFormatError("the trace is cut off in line 1, before its first state")
    info = codec.decode_header(lines[0]).engine
    if len(lines) == 1:
        raise TraceFormatError("the trace is cut off in line 2, before its first state")
    start: State = codec.decode_keyframe(lines[1], State)
    for problem in contradictions(start):
        raise TraceFormatError(f"the keyframe in line 2 contradicts itself: {problem}")
    return Parts(info, start, _batches(lines, start), cut)


def _batches(lines: list[bytes], start: State) -> tuple[Batch, ...]:
    """The batches of all lines behind the keyframe, numbered without gaps, steps never going back."""
    batches = []
    seq, step = start.seq, start.step
    for number, line in enumerate(lines[2:], start=3):
        try:
            batch = codec.decode_batch(line)
        except TraceFormatError as error:
            raise TraceFormatError(f"line {number} is damaged: {error}") from error
        if batch.seq != seq:
            raise TraceFormatError(f"line {number} begins with event {batch.seq}; {seq} was expected")
        if batch.step < step:
            raise TraceFormatError(f"line {number} goes back from step {step} to {batch.step}")
        seq, step = seq + len(batch.events), batch.step
        batches.append(batch)
    return tuple(batches)


def _unzip(data: bytes) -> tuple[bytes, bool]:
    """What can be decompressed, and whether the stream was cut off."""
    parts = []
    while data:
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            parts.append(stream.decompress(data))
        except zlib.error as error:
            raise TraceFormatError(f"the gzip stream of the trace is damaged: {error}") from error
        if not stream.eof:
            return b"".join(parts), True
        data = stream.unused_data
    return b"".join(parts), False


def read(path: str | os.PathLike[str]) -> Parts:
    """The parts of a trace file.

    Raises:
        TraceFileError: it is not there, or cannot be read.
        TraceFormatError: it is no trace, or a damaged one.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise TraceFileError(f"cannot read the trace {os.fspath(path)!r}: {error.strerror}") from error
    try:
        return from_bytes(data)
    except TraceFormatError as error:
        raise TraceFormatError(f"{os.fspath(path)}: {error}") from error


def write(path: str | os.PathLike[str], data: bytes, what: str = "trace") -> None:
    """Write a file whole or not at all; a trace is gzipped if the name ends in ``.gz``.

    Raises:
        TraceFileError: the folder is not there, or cannot be written to.
    """
    target = Path(path)
    if what == "trace" and target.suffix == ".gz":
        data = gzip.compress(data, mtime=0)  # no clock: equal traces are equal files
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(target)
    except OSError as error:
        raise TraceFileError(f"cannot write the {what} {os.fspath(path)!r}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
