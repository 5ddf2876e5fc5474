import msgspec
import pytest

from pagedviz.errors import TraceFormatError
from pagedviz.events import KINDS, Batch, TokenAppended, codec


def test_the_header_lists_the_fields_of_every_kind(streams):
    header = codec.decode_header(codec.encode_header(streams.info_of(streams.Toy(0))))
    assert header.fields == {name: kind.__struct_fields__ for name, kind in KINDS.items()}
    assert header.engine.model == "toy"


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
        b'{"seq":0,"step":0,"t_us":0,"events":[["Nothing"]]}',
        b'{"seq":0,"step":0,"t_us":0,"events":[[]]}',
        b'{"seq":0,"step":0,"t_us":0,"events":{}}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_batch_gets_an_error_of_ours(line):
    with pytest.raises(TraceFormatError, match="no batch of known events"):
        codec.decode_batch(line)


def test_records_stay_out_of_the_garbage_collector():
    import gc

    assert not any(
        gc.is_tracked(event)
        for event in codec.decode_batch(
            b'{"seq":0,"step":0,"t_us":0,"events":[["TokenAppended",1,2,3,"x"]]}'
        ).events
    )
