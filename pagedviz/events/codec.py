"""The trace format: how batches and states become lines of bytes and back. Nobody else knows it.

A trace is UTF-8 JSON, a line each: first a header, then a keyframe (the state that the events start from),
then one line per batch. Every line can stand on its own once the header is known, so the same bytes serve
the file, the live wire and the HTML page. Events are arrays ``[kind, field, ...]``; the header lists the
field names of every kind, so that a reader in another language needs no second copy of the vocabulary.

    {"format":"pagedviz-trace","version":3,"fields":{"BlockFreed":["tier","group","block"],...},"engine":{...}}
    {"keyframe":{"block_size":16,"num_blocks":{"device":256},"step":0,"seq":0,...}}
    {"seq":0,"step":0,"t_us":1733,"events":[["RequestAdded","r0",...],...]}

``msgspec`` validates while it decodes, so a hostile file gets an error and nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pagedviz.errors import TraceFormatError
from pagedviz.events.kinds import Int
from pagedviz.events.records import KINDS, Batch

FORMAT = "pagedviz-trace"
VERSION = 3
"""2: prefix cache, eviction and host tier; a reader of version 1 does not know their events. 3: what a request
asked for, what the engine was made with, and why the prefix cache was reset; in older traces these are unknown."""


class LayerGroup(msgspec.Struct, frozen=True):
    """Layers that share a block table; none are named if nobody said which.

    ``window`` is their sliding window in tokens, None if they see all.
    """

    layers: tuple[Int, ...]
    window: Int | None = None


class EngineInfo(msgspec.Struct, frozen=True):
    """What a reader must know of the engine that wrote a trace. All but the sizes may be unknown, which is None.

    ``device`` is the torch device; ``simulated`` says that the device tier is a second pool in RAM.
    ``bytes_per_block`` counts K and V of all layers of a group. ``options`` are what the engine was made with,
    names as ``Engine`` has them, values as JSON; None in a trace that does not say.
    """

    model: str | None
    block_size: Int
    num_device_blocks: Int
    num_host_blocks: Int
    groups: tuple[LayerGroup, ...] | None = None
    num_kv_heads: Int | None = None
    head_dim: Int | None = None
    dtype: str | None = None
    device: str | None = None
    simulated: bool | None = None
    attention: str | None = None
    bytes_per_block: Int | None = None
    pagedviz: str | None = None
    options: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """What people call the run: its model."""
        return "unknown model" if self.model is None else self.model


class Header(msgspec.Struct, frozen=True):
    """First line of a trace."""

    engine: EngineInfo
    format: str = FORMAT
    version: int = VERSION
    fields: dict[str, tuple[str, ...]] = {}


class _Version(msgspec.Struct):
    """The part of a header that every version has."""

    format: str = ""
    version: int = 0


# A line of a thousand nested brackets is refused by msgspec with RecursionError.
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encoder = msgspec.json.Encoder()
_batch_decoder = msgspec.json.Decoder(Batch)
_version_decoder = msgspec.json.Decoder(_Version)
_header_decoder = msgspec.json.Decoder(Header)


def encode_header(engine: EngineInfo) -> bytes:
    """The first line of a trace, with its newline."""
    fields = {name: kind.__struct_fields__ for name, kind in KINDS.items()}
    return _encoder.encode(Header(engine, fields=fields)) + b"\n"


def decode_header(line: bytes) -> Header:
    """The header of a trace.

    Raises:
        TraceFormatError: the line is no header of ours, or of a newer version.
    """
    try:
        version = _version_decoder.decode(line)
    except _MALFORMED as error:
        if FORMAT.encode() in line:
            raise TraceFormatError(
                f"not a pagedviz trace, or a damaged one: line 1 is no header ({error})"
            ) from error
        raise TraceFormatError("not a pagedviz trace: line 1 is no header") from error
    if version.format != FORMAT:
        raise TraceFormatError(f"not a pagedviz trace: line 1 says format {version.format!r}, not {FORMAT!r}")
    if not 1 <= version.version <= VERSION:
        raise TraceFormatError(
            f"the trace has version {version.version}; this pagedviz reads 1 to {VERSION}: update pagedviz"
        )
    try:
        return _header_decoder.decode(line)
    except _MALFORMED as error:
        raise TraceFormatError(f"the trace's header is damaged: {error}") from error


def encode_keyframe(state: msgspec.Struct) -> bytes:
    """The line that says what state the events start from."""
    return b'{"keyframe":' + _encoder.encode(state) + b"}\n"


def decode_keyframe(line: bytes, kind: type[Any]) -> Any:
    """The state of a keyframe line, as an instance of ``kind``.

    Raises:
        TraceFormatError: the line is no keyframe.
    """
    try:
        return msgspec.json.decode(line, type=dict[str, kind])["keyframe"]  # type: ignore[valid-type]
    except (*_MALFORMED, KeyError) as error:
        raise TraceFormatError(f"line 2 is no keyframe: {error}") from error


def encode_batch(batch: Batch) -> bytes:
    """One batch as a line, with its newline."""
    return _encoder.encode(batch) + b"\n"


def decode_batch(line: bytes) -> Batch:
    """One batch.

    Raises:
        TraceFormatError: the line is no batch of known events.
    """
    try:
        return _batch_decoder.decode(line)
    except _MALFORMED as error:
        raise TraceFormatError(f"no batch of known events: {error}") from error
