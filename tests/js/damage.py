"""Damaged traces for both readers, each one edit away from a sound one, and what Python makes of a trace."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from pagedviz.errors import TraceFormatError
from pagedviz.events.codec import decode_keyframe
from pagedviz.trace import Trace, file
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import State

GOLDEN = Path(__file__).parent.parent / "golden" / "tiny_run.pvtrace"
GONE = object()
"""Instead of a value: it is not there at all."""


def sources(toys: ModuleType) -> dict[str, list[str]]:
    """The lines of sound traces, by name; ``toys`` is ``tests/trace/streams.py``.

    ``toy`` begins in the middle of a run: blocks are held in both tiers, shared and cached, requests run, are
    swapped out, preempted and finished. ``golden`` begins with nothing.
    """
    toy = toys.random_run(112, num_blocks=16)
    start = toys.start_of(toy)
    for batch in toy.batches[:17]:
        apply_batch(start, batch)
    late = Trace(toys.info_of(toy), start, toy.batches[17:]).to_bytes().decode()
    return {"golden": GOLDEN.read_text(encoding="utf-8").splitlines(), "toy": late.splitlines()}


def damaged(lines: list[str], number: int, path: tuple[Any, ...], value: Any) -> bytes:
    """The trace with another value at a path of the line ``number`` (from 1); without a path, another line."""
    if path:
        record = at = json.loads(lines[number - 1])
        for step in path[:-1]:
            at = at[step]
        if value is GONE:
            del at[path[-1]]
        else:
            at[path[-1]] = value
        value = json.dumps(record).encode()
    whole = [line.encode() for line in lines]
    return b"\n".join([*whole[: number - 1], value, *whole[number:], b""])


def verdict(data: bytes) -> tuple[int | None, Any]:
    """The line that Python refuses, None if it takes all, and the state before it, None if there is none."""
    try:
        parts = file.from_bytes(data, sound_part=True)
    except TraceFormatError as error:
        return int(re.search(r"line (\d)|$", str(error))[1] or 1), None
    state: State = decode_keyframe(data.split(b"\n")[1], State)
    for batch in parts.batches:
        apply_batch(state, batch)
    line = re.match(r"line (\d+)", parts.damage)
    return line and int(line[1]), json.loads(msgspec.json.encode(state))


# -- edits with a name ---------------------------------------------------------------------------------------------

_K = "keyframe"
_TABLE = (_K, "sequences", "0", "tables", "0")
_DEVICE = (_K, "blocks", "device")
_FREE = {"group": 0, "holders": [], "born": 1}

EDITS: dict[str, tuple[str, int, tuple[Any, ...], Any]] = {
    # -- header
    "no header": ("golden", 1, (), b"{}"),
    "a header in a list": ("golden", 1, (), b"[1]"),
    "a format of others": ("golden", 1, ("format",), "trace"),
    "a version that is text": ("golden", 1, ("version",), "2"),
    "a version that is true": ("golden", 1, ("version",), True),
    "an engine without fields": ("golden", 1, ("engine",), {}),
    "an engine without a model": ("golden", 1, ("engine", "model"), GONE),
    "a model that is a number": ("golden", 1, ("engine", "model"), 7),
    "a type that is a number": ("golden", 1, ("engine", "dtype"), 32),
    "a head size that is text": ("golden", 1, ("engine", "head_dim"), "64"),
    "no number of device blocks": ("golden", 1, ("engine", "num_device_blocks"), None),
    "layers that are unknown in a list": ("golden", 1, ("engine", "groups", 0, "layers"), None),
    "groups that are a number": ("golden", 1, ("engine", "groups"), 1),
    "layers that are text": ("golden", 1, ("engine", "groups", 0, "layers"), ["0"]),
    "a window that is text": ("golden", 1, ("engine", "groups", 0, "window"), "64"),
    "simulated or not: 1": ("golden", 1, ("engine", "simulated"), 1),
    "fields that are text": ("golden", 1, ("fields", "BlockFreed"), "tier"),
    "a field without a name": ("golden", 1, ("fields", "BlockFreed", 1), None),
    # -- keyframe: what its parts are
    "no keyframe": ("golden", 2, (), b"{}"),
    "a keyframe that is null": ("golden", 2, (_K,), None),
    "a keyframe in a list": ("golden", 2, (_K,), [{}]),
    "no block size": ("golden", 2, (_K, "block_size"), GONE),
    "a block size with a fraction": ("golden", 2, (_K, "block_size"), 1.5),
    "a block size with a point": ("golden", 2, (_K, "block_size"), 4.0),
    "a pool that is text": ("golden", 2, (_K, "num_blocks", "device"), "8"),
    "a step that is null": ("golden", 2, (_K, "step"), None),
    "a time that is text": ("golden", 2, (_K, "t_us"), "0"),
    "a time that no double can count to": ("golden", 2, (_K, "t_us"), 2**53),
    "counters that are a list": ("toy", 2, (_K, "counters"), []),
    "a counter that is text": ("toy", 2, (_K, "counters", "freed"), "9"),
    "scheduled is a number": ("toy", 2, (_K, "scheduled"), 3),
    "two numbers are scheduled": ("toy", 2, (_K, "scheduled", 0), [0, 18]),
    "an eviction that says no policy": ("toy", 2, (_K, "evicted", "device", "8", "policy"), GONE),
    "an eviction of a block with a name": (
        "toy",
        2,
        (_K, "evicted", "device", "x"),
        {"step": 1, "policy": "", "why": ""},
    ),
    "an eviction of a block that no double can count to": (
        "toy",
        2,
        (_K, "evicted", "device", str(2**53 + 1)),
        {"step": 1, "policy": "", "why": ""},
    ),
    "a request without fields": ("toy", 2, (_K, "requests", "r0"), {}),
    "a status that is a list": ("toy", 2, (_K, "requests", "r0", "status"), ["running"]),
    "sequences that are text": ("toy", 2, (_K, "requests", "r0", "sequences"), "012"),
    "a sequence without fields": ("toy", 2, (_K, "sequences", "0"), {}),
    "a sequence with a name": ("toy", 2, (_K, "sequences", "x"), {}),
    "tokens that are text": ("toy", 2, (_K, "sequences", "0", "tokens", 3), "3"),
    "texts that are numbers": ("toy", 2, (_K, "sequences", "0", "texts", 3), 3),
    "a text with half a character": ("toy", 2, (_K, "sequences", "0", "texts", 3), "\ud83d"),
    "tables in a list": ("toy", 2, (_K, "sequences", "0", "tables"), [[]]),
    "a group with a name": ("toy", 2, (_K, "sequences", "0", "tables", "a"), []),
    "a group of a half": ("toy", 2, (_K, "sequences", "0", "tables", "0.5"), []),
    "an entry of three": ("toy", 2, (*_TABLE, 0), ["device", 14, 0]),
    "an entry without a tier": ("toy", 2, (*_TABLE, 0), [14, 14]),
    "a block that is null": ("toy", 2, (*_DEVICE, "14"), None),
    "a block with a name": ("toy", 2, (*_DEVICE, "x"), _FREE),
    "a block without holders": ("toy", 2, (*_DEVICE, "14", "holders"), GONE),
    "a holder of three": ("toy", 2, (*_DEVICE, "14", "holders", 0), [0, 0, 0]),
    "a hash that is a number": ("toy", 2, (*_DEVICE, "14", "hash"), 14),
    # -- keyframe: what its parts say of each other
    "a block of no slots": ("golden", 2, (_K, "block_size"), 0),
    "a pool of less than no blocks": ("golden", 2, (_K, "num_blocks", "device"), -1),
    "a pool that no table can name": ("golden", 2, (_K, "num_blocks", "device"), 2**31),
    "a tier without a pool": ("toy", 2, (_K, "num_blocks", "host"), GONE),
    "a block 99 in a pool of 16": ("toy", 2, (*_DEVICE, "99"), {**_FREE, "hash": "ab", "cached": 1}),
    "a block -1": ("toy", 2, (*_DEVICE, "-1"), {**_FREE, "hash": "ab", "cached": 1}),
    "a block that is not free, and nobody's": ("toy", 2, (*_DEVICE, "8", "cached"), -1),
    "a cached block without a hash": ("toy", 2, (*_DEVICE, "8", "hash"), ""),
    "a request without its sequence": ("toy", 2, (_K, "sequences", "5"), GONE),
    "a request without one of its sequences": ("toy", 2, (_K, "requests", "r2", "sequences"), [5]),
    "a sequence without its request": ("toy", 2, (_K, "requests", "r3"), GONE),
    "a sequence of another request": ("toy", 2, (_K, "sequences", "5", "request"), "r0"),
    "fewer texts than tokens": ("toy", 2, (_K, "sequences", "0", "texts", 0), GONE),
    "more in memory than there is": ("toy", 2, (_K, "sequences", "0", "computed"), 21),
    "less than nothing in memory": ("toy", 2, (_K, "sequences", "0", "computed"), -1),
    "a table names a free block": ("toy", 2, (*_TABLE, 4, 1), 17),
    "a table names somebody else's block": ("toy", 2, (*_TABLE, 4, 1), 15),
    "a table names a block of the other tier": ("toy", 2, (*_TABLE, 4, 0), "host"),
    "a table of another group": ("toy", 2, (_K, "sequences", "0", "tables"), {"1": [["device", 14]]}),
    "a table that ends with an absent entry": ("toy", 2, (_K, "sequences", "0", "tables", "1"), [None]),
    "an absent entry whose block is there": ("toy", 2, (*_TABLE, 0), None),
    "a block whose holder lacks it": ("toy", 2, (*_TABLE, 4), GONE),
    "a block without one of its holders": ("toy", 2, (*_DEVICE, "14", "holders", 0), GONE),
    "a block held twice": ("toy", 2, (*_DEVICE, "14", "holders"), [[0, 0], [0, 0], [1, 0], [2, 0]]),
    "a block of a sequence that is not there": ("toy", 2, (*_DEVICE, "5", "holders"), [[77, 4]]),
    "a run without a device": ("golden", 2, (_K, "num_blocks", "device"), GONE),
    "a tier that nobody knows": ("golden", 2, (_K, "num_blocks", "disk"), 4),
    "a request of another name": ("toy", 2, (_K, "requests", "r0", "name"), "r9"),
    "a request without sequences": (
        "golden",
        2,
        (_K, "requests", "r9"),
        {"name": "r9", "sequences": [], "num_prompt": 1, "max_tokens": 1},
    ),
    "a request with a sequence twice": ("toy", 2, (_K, "requests", "r1", "sequences"), [3, 4, 4]),
    "a request with another's sequence": ("toy", 2, (_K, "requests", "r1", "sequences"), [3, 4, 5]),
    "a sequence of another number": ("toy", 2, (_K, "sequences", "0", "id"), 1),
    # -- batches: what they are
    "no JSON": ("golden", 5, (), b"oops"),
    "an empty line": ("golden", 5, (), b""),
    "bytes that are no text": (
        "golden",
        5,
        (),
        b'{"seq":15,"step":2,"t_us":0,"events":[["SequenceFinished","\xff",0,""]]}',
    ),
    "half of the bytes of a character": ("golden", 5, (), b'{"seq":15,"step":2,"t_us":0,"events":[]}\xe2\x82'),
    "no batch": ("golden", 5, (), b"7"),
    "a batch that is null": ("golden", 5, (), b"null"),
    "a batch without a time": ("golden", 5, ("t_us",), GONE),
    "a time with a fraction": ("golden", 5, ("t_us",), 0.5),
    "a step that is text": ("golden", 5, ("step",), "2"),
    "a number with a point": ("golden", 5, ("seq",), 15.0),
    "a gap": ("golden", 5, ("seq",), 16),
    "events that come twice": ("golden", 5, ("seq",), 14),
    "a step back": ("golden", 5, ("step",), 0),
    "events that are text": ("golden", 5, ("events",), "events"),
    "events with names": ("golden", 5, ("events",), {"length": 0}),
    "an event that is null": ("golden", 5, ("events", 3), None),
    "an event that is text": ("golden", 5, ("events", 3), "BlockFreed"),
    "an event with names": ("golden", 5, ("events", 0), {"0": "StepStarted", "1": [], "length": 2}),
    "an event without a kind": ("golden", 5, ("events", 3), []),
    "a kind that is a number": ("golden", 5, ("events", 3, 0), 3),
    "an unknown kind": ("golden", 5, ("events", 3, 0), "BlockStolen"),
    "a kind that all objects have": ("golden", 5, ("events", 3, 0), "constructor"),
    "an event without its last field": ("golden", 5, ("events", 3, 6), GONE),
    # -- batches: what fields hold
    "a prompt of junk": ("golden", 3, ("events", 0, 3), "junk"),
    "a prompt with junk in it": ("golden", 3, ("events", 0, 3, 2), {"a": 1}),
    "a prompt of lists": ("golden", 3, ("events", 0, 3), [[1], [2], [3], [4], [5], [6]]),
    "texts that are numbers in an event": ("golden", 3, ("events", 0, 4), [1, 2, 3]),
    "one text that is null": ("golden", 3, ("events", 0, 4, 5), None),
    "one text of half a character": ("golden", 3, ("events", 0, 4, 5), "a \udc00"),
    "sequences with a text": ("golden", 3, ("events", 0, 2, 1), "1"),
    "a limit that is true": ("golden", 3, ("events", 0, 5), True),
    "a step that schedules numbers": ("golden", 4, ("events", 0, 1), [0, 0, 6]),
    "a step that schedules two numbers": ("golden", 4, ("events", 0, 1, 0), [0, 0]),
    "a step that schedules a text": ("golden", 4, ("events", 0, 1, 0, 2), "6"),
    "resumed or not: 0": ("golden", 4, ("events", 1, 2), 0),
    "a grid of text": ("golden", 4, ("events", 5, 2), ["1", "3"]),
    "a block with a fraction": ("golden", 4, ("events", 3, 3), 2.5),
    "a block that is far too large": ("golden", 4, ("events", 3, 3), 1e300),
    "a token that no double can count to": ("golden", 4, ("events", -1, 3), 2**53),
    "a prompt that no double can count to": ("golden", 3, ("events", 0, 3, 2), -(2**53)),
    "a token that is null": ("golden", 4, ("events", -1, 3), None),
    "a text that is a number": ("golden", 4, ("events", -1, 4), 1),
    "pairs of one": ("golden", 11, ("events", 6, 2, 0), [2]),
    "pairs of three": ("golden", 11, ("events", 6, 2, 0), [2, 3, 4]),
    "pairs of texts": ("golden", 11, ("events", 6, 2, 0), ["2", "3"]),
    "a pair with a point": ("golden", 11, ("events", 6, 2, 0), [2, 3.0]),
    # -- batches: what contradicts what came before
    "a request that is added twice": ("golden", 3, ("events", 1, 1), "r0"),
    "a request that adds no sequence": ("golden", 3, ("events", 1, 2), []),
    "a request that loses its last sequence": ("toy", 6, ("events", 0), ["SequenceDropped", "r5", 12]),
    "a hit of a sequence that has finished": ("toy", 3, ("events", 1), ["PrefixHit", "r3", 7, 1, 6, 0, False]),
    "more bytes than can be counted": ("golden", 12, ("events", 4, 3), 2**53 - 1),
    "a sequence that is added twice": ("golden", 3, ("events", 1, 2), [0]),
    "fewer texts than tokens in an event": ("golden", 3, ("events", 0, 4), ["a"]),
    "a block that is handed out twice": ("golden", 4, ("events", 4, 3), 2),
    "an entry that no sequence is long enough for": ("golden", 4, ("events", 3, 5), 2**53 - 1),
    "a block outside its pool": ("golden", 4, ("events", 4, 3), 8),
    "more is computed than there is": ("golden", 4, ("events", 0, 1, 0, 2), 7),
    "a sequence that is not there": ("golden", 4, ("events", 0, 1, 0, 0), 9),
    "a swap of a free block": ("golden", 11, ("events", 6, 2, 0), [6, 4]),
    "a swap of nothing to where nothing was": ("golden", 4, ("events", 1), ["SwappedOut", "r0", [], 0, 0]),
    "a free of a block that somebody has": ("toy", 3, ("events", 1), ["BlockFreed", "device", 0, 14]),
    "a request that is scheduled once more": ("toy", 3, ("events", 1), ["RequestScheduled", "r3", True]),
    "an eviction of a host block that somebody has": (
        "toy",
        4,
        ("events", 1),
        ["BlockEvicted", "host", 0, 15, "0d11695cdb7c7662", "lru", "", 0],
    ),
}
"""Name -> trace, line, path, value: the edit of a sound trace that both readers refuse at that line."""


# -- edits by chance -----------------------------------------------------------------------------------------------

_VALUES = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 16, 99, 2**45, 2**53 - 1, -(2**53), 10**30, 1.5, -0.5, 1.0, 1e300),
    *("", "x", "0", "device", "host", "r0", "r1", "waiting", "running", "swapped", "finished", "\u202e", "\ud800"),
    *([], [None], [0], [1, 2], ["a"], [[0, 0]], [[0, 0, 1]], [["device", 0]]),
    *({}, {"0": []}, {"a": 1}, {"device": 3}),
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for step in value if isinstance(value, dict) else range(len(value)):
            yield from _paths(value[step], (*path, step))


def random_damage(lines: list[str], dice: random.Random) -> tuple[int, tuple[Any, ...], Any]:
    """A line (keyframe or batch), a path in it and another value: one that is odd, near, or from elsewhere."""
    number = dice.choice([2, dice.randrange(3, len(lines) + 1)])
    record = json.loads(lines[number - 1])
    path = dice.choice([*_paths(record)])
    deed = dice.random()
    if deed < 0.4:
        return number, path, dice.choice(_VALUES)
    if deed < 0.7:
        record = json.loads(dice.choice(lines[1:]))
        there = dice.choice([*_paths(record)])
    else:
        there = path
    value = record
    for step in there:
        value = value[step]
    return number, path, value + dice.choice([-1, 1, 4]) if deed >= 0.7 and isinstance(value, int) else value
