import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedviz.errors import TraceFormatError
from pagedviz.events import (
    KINDS,
    Batch,
    BlockCached,
    BlockEvicted,
    PrefixCacheReset,
    PrefixHit,
    PrefixMissed,
    RequestPreempted,
    SequenceDropped,
    SwappedIn,
    SwappedOut,
    TokenAppended,
    codec,
)
from pagedviz.events.records import MOST

SINCE_2 = {
    "SequenceDropped": "request sequence",
    "BlockCached": "tier group block hash",
    "PrefixHit": "request sequence blocks tokens from_host resumed",
    "PrefixMissed": "request sequence tokens reason resumed",
    "BlockEvicted": "tier group block hash policy why age",
    "PrefixCacheReset": "blocks reason",
    "SwappedOut": "request pairs num_bytes duration_us",
    "SwappedIn": "request pairs num_bytes duration_us",
}


def test_the_header_lists_the_fields_of_every_kind(streams):
    header = codec.decode_header(codec.encode_header(streams.info_of(streams.Toy(0))))
    assert header.fields == {name: kind.__struct_fields__ for name, kind in KINDS.items()}
    assert header.engine.model == "toy"


def test_the_header_since_version_2_has_these_kinds_more(streams):
    header = codec.decode_header(codec.encode_header(streams.info_of(streams.Toy(0))))
    assert header.version >= 2
    assert {name: " ".join(header.fields[name]) for name in SINCE_2} == SINCE_2


@pytest.mark.parametrize(
    "event",
    [
        BlockCached("host", 1, 2, "00ff"),
        BlockEvicted("device", 1, 2, "00ff", "lru", "used least \u202e recently", 3),
        PrefixHit("r0", 1, 2, 32, 1, True),
        PrefixMissed("r0", 1, 16, "evicted at step 41 by lru", False),
        PrefixCacheReset(9, "the weight lm_head.weight was written"),
        RequestPreempted("r0", "swap", "", 3, 0),
        SequenceDropped("r0", 1),
        SwappedOut("", ((1, 2), (3, 4)), 1 << 40, 5),
        SwappedIn("r0", (), 0, 0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_comes_back_as_it_was(event):
    batch = Batch(7, 2, 5, (event,))
    assert codec.decode_batch(codec.encode_batch(batch)) == batch
    assert type(codec.decode_batch(codec.encode_batch(batch)).events[0]) is type(event)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), groups=st.integers(1, 2))
def test_batches_of_every_kind_come_back_as_they_were(streams, seed, groups):
    for batch in streams.random_run(seed, groups=groups).batches:
        assert codec.decode_batch(codec.encode_batch(batch)) == batch


def test_lines_have_no_line_break_inside_whatever_the_text():
    line = codec.encode_batch(Batch(0, 0, 0, (TokenAppended(0, 0, 1, "a\n\r\u2028\u2029\x00<b>\U0001f600"),)))
    assert line.count(b"\n") == 1
    assert codec.decode_batch(line).events[0].text == "a\n\r\u2028\u2029\x00<b>\U0001f600"


def test_events_are_arrays_with_their_kind_first():
    line = codec.encode_batch(Batch(7, 2, 5, (TokenAppended(1, 2, 3, "x"),)))
    assert msgspec.json.decode(line) == {
        "seq": 7,
        "step": 2,
        "t_us": 5,
        "events": [["TokenAppended", 1, 2, 3, "x"]],
    }


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"{",
        b'{"seq":0,"step":0,"t_us":0,"events":[["TokenAppended",1,2,3]]}',
        b'{"seq":0,"step":0,"t_us":0,"events":[["TokenAppended",1.5,2,3,"x"]]}',
        b'{"seq":0,"step":0,"t_us":0,"events":[["SwappedOut","",[[1,2,3]],0,0]]}',
        b'{"seq":0,"step":0,"t_us":0,"events":[["PrefixHit","r0",1,2,3,0,1]]}',
        b'{"seq":0,"step":0,"t_us":0,"events":[["Nothing"]]}',
        b'{"seq":0,"step":0,"t_us":0,"events":[[]]}',
        b'{"seq":0,"step":0,"t_us":0,"events":{}}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_batch_gets_an_error_of_ours(line):
    with pytest.raises(TraceFormatError, match="no batch of known events"):
        codec.decode_batch(line)


def with_number(value, annotation):
    """A value of the annotation whose first number is this one; None if it has no number."""
    kind, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is int:
        return value
    if kind is not tuple:
        return None
    if args[-1] is Ellipsis:
        inner = with_number(value, args[0])
        return None if inner is None else (inner,)
    return (value, *[0] * (len(args) - 1))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_number_of_every_kind_is_one_that_javascript_can_count_to(kind):
    hints = {name: hint for name, hint in typing.get_type_hints(kind).items() if name in kind.__struct_fields__}
    usual = {int: 0, str: "", bool: False}
    for field, annotation in hints.items():
        for number in (MOST, -MOST, MOST + 1, -MOST - 1, 10**25):
            value = with_number(number, annotation)
            if value is None:
                continue
            event = kind(**{name: usual.get(hint, ()) for name, hint in hints.items()} | {field: value})
            line = codec.encode_batch(Batch(0, 0, 0, (event,)))
            if abs(number) <= MOST:
                assert codec.decode_batch(line).events == (event,)
            else:
                with pytest.raises(TraceFormatError, match="no batch of known events: Expected `int`"):
                    codec.decode_batch(line)


def test_records_stay_out_of_the_garbage_collector():
    import gc

    assert not any(
        gc.is_tracked(event)
        for event in codec.decode_batch(
            b'{"seq":0,"step":0,"t_us":0,"events":[["TokenAppended",1,2,3,"x"]]}'
        ).events
    )
