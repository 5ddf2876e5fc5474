import functools
import gzip
import random
import re
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedviz.errors import ConfigError, PagedvizError, TraceFileError, TraceFormatError, TruncatedTraceWarning
from pagedviz.events.records import MOST
from pagedviz.figures import picture
from pagedviz.lab.long_run import long_run
from pagedviz.trace import Trace, memory_history

HOLDERS = b'{"d":{"0":{"group":0,"holders":[[7,0]],"born":0}}}'
ORPHAN = b'{"keyframe":{"block_size":4,"num_blocks":{"d":1},"blocks":%b}}\n' % HOLDERS


@pytest.fixture(scope="module")
def trace(streams):
    return streams.trace_of(streams.random_run(11))


@pytest.fixture(scope="module")
def lines(trace):
    return trace.to_bytes().splitlines(keepends=True)


def same(one, other):
    return (one.info, one.start, one.batches) == (other.info, other.start, other.batches)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), groups=st.integers(1, 2))
def test_bytes_and_back(streams, seed, groups):
    trace = streams.trace_of(streams.random_run(seed, groups=groups))
    assert same(Trace.from_bytes(trace.to_bytes()), trace)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", ["run.pvtrace", "run.pvtrace.gz", "a trace\u00e9.pvtrace"])
def test_save_and_load(trace, tmp_path, name, compress):
    trace.save(tmp_path / name, compress=compress)
    data = (tmp_path / name).read_bytes()
    assert (gzip.decompress(data) if compress else data) == trace.to_bytes()
    assert same(Trace.load(tmp_path / name), trace)
    assert not Trace.load(str(tmp_path / name)).truncated
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_gzip_is_known_by_its_bytes_and_made_without_a_clock(trace, tmp_path):
    for name in ("a.gz", "b.gz", "run.pvtrace"):
        trace.save(tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "run.pvtrace").read_bytes()


def test_a_file_has_less_than_20_bytes_an_event(tmp_path):
    trace = long_run(50_000)
    trace.save(tmp_path / "run.pvtrace")
    assert (tmp_path / "run.pvtrace").stat().st_size < 20 * trace.num_events


def test_saving_over_a_trace_replaces_it_whole(trace, tmp_path, monkeypatch):
    path = tmp_path / "run.pvtrace"
    path.write_bytes(b"before")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(TraceFileError, match="disk full"):
        trace.save(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=60)
@given(data=st.data())
def test_a_cut_off_file_loses_its_last_line_only(streams, data):
    trace = streams.trace_of(streams.random_run(11))
    whole = trace.to_bytes()
    head = sum(len(line) for line in whole.splitlines(keepends=True)[:2])
    cut = data.draw(st.integers(0, len(whole) - 1))
    if cut < head:
        with pytest.raises(TraceFormatError):
            Trace.from_bytes(whole[:cut])
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        short = Trace.from_bytes(whole[:cut])
    complete = whole[:cut].endswith(b"\n")
    assert short.truncated == (not complete)
    assert [w.category for w in caught] == [] if complete else [TruncatedTraceWarning]
    assert short.batches == trace.batches[: whole[:cut].count(b"\n") - 2]
    short.state_at(short.last_step)


def test_a_cut_off_gzip_stream_gives_what_is_there(trace, tmp_path):
    path = tmp_path / "run.gz"
    data = gzip.compress(trace.to_bytes(), mtime=0)
    path.write_bytes(data[: len(data) // 2])
    with pytest.warns(TruncatedTraceWarning, match="run.gz is cut off behind line"):
        short = Trace.load(path)
    assert short.truncated
    assert 0 < len(short.batches) < len(trace.batches)
    path.write_bytes(data[:30])
    with pytest.raises(TraceFormatError, match="cut off"):
        Trace.load(path)


def test_gzip_streams_behind_each_other_are_one(trace, tmp_path):
    data = trace.to_bytes()
    (tmp_path / "two.gz").write_bytes(gzip.compress(data[:5000]) + gzip.compress(data[5000:]))
    assert same(Trace.load(tmp_path / "two.gz"), trace)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b"\n", "line 1"),
        (b"hello\n", "not a pagedviz trace"),
        (b'{"a":1}\n', "not a pagedviz trace"),
        (b"[1,2,3]\n", "not a pagedviz trace"),
        (b"\xff\xfe\x00" * 99, "not a pagedviz trace"),
        (b"[" * 200_000 + b"\n", "not a pagedviz trace"),
        (b'{"format":' + b"[" * 200_000 + b"\n", "not a pagedviz trace"),
        (b'{"format":"pagedviz-trace","version":4}\n', "version 4; this pagedviz reads 1 to 3: update"),
        (b'{"format":"pagedviz-trace","version":0}\n', "version 0"),
        (b'{"format":"pagedviz-trace","version":1}\n', "header is damaged"),
        (b'{"format":"pagedviz-trace","version":2}\n', "header is damaged"),
        (b'{"format":"pagedviz-trace","version":' + b"9" * 5000 + b"}\n", "not a pagedviz trace"),
        (b"\x1f\x8b\x08\x00garbage of some length", "gzip stream of the trace is damaged"),
    ],
)
def test_what_is_no_trace_says_so_with_its_path(tmp_path, content, words):
    path = tmp_path / "strange.pvtrace"
    path.write_bytes(content)
    with pytest.raises(TraceFormatError, match=words) as caught:
        Trace.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "content", "words"),
    [
        (1, b'{"keyframe":7}\n', "line 2 is no keyframe"),
        (1, b"{}\n", "line 2 is no keyframe"),
        (1, b'{"keyframe":{"block_size":0,"num_blocks":{"device":4}}}\n', "a block has 0 slots"),
        (1, b'{"keyframe":{"block_size":4,"num_blocks":{"device":-4}}}\n', "pool has -4 blocks"),
        (1, ORPHAN.replace(b"[7,0]", b""), "d block 0 is held by nobody"),
        (
            1,
            ORPHAN.replace(b"[7,0]", b"").replace(b":0}}}", b':0,"hash":"ab"}}}'),
            "held by nobody, and not cached",
        ),
        (1, ORPHAN.replace(b"[7,0]", b"").replace(b":0}}}", b':0,"cached":3}}}'), "held by nobody, and not cached"),
        (0, ("bytes_per_block", 10**400), "header is damaged"),
        (1, ("step", MOST + 1), "line 2 is no keyframe"),
        (1, ("lost_tokens", -MOST - 1), "line 2 is no keyframe"),
        (1, ORPHAN, "d block 0 is held as entry 0 of sequence 7, which lacks it"),
        (5, b"\n", "line 6 is damaged"),
        (5, b'{"seq":1,"step":1\n', "line 6 is damaged"),
        (5, b'{"seq":"x","step":1,"t_us":0,"events":[]}\n', "line 6 is damaged: .*seq"),
        (5, b'{"seq":0,"step":1,"t_us":0,"events":[["BlockStolen",1]]}\n', "line 6 is damaged: .*BlockStolen"),
        (5, b'{"seq":0,"step":1,"t_us":0,"events":[]}\n', "line 6 begins with event 0"),
        (5, b'{"seq":%d,"step":1,"t_us":0,"events":[]}\n' % MOST, f"line 6 begins with event {MOST}"),
        (5, b'{"seq":%d,"step":1,"t_us":0,"events":[]}\n' % (MOST + 1), f"line 6 is damaged: .* <= {MOST}"),
        (5, b'{"seq":' + b"9" * 5000 + b',"step":1,"t_us":0,"events":[]}\n', "line 6 is damaged"),
        (5, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "line 6 is damaged"),
        (5, b'{"seq":0,"step":1,"t_us":0,"events":[["TokenAppended",1,1,1,"\xff"]]}\n', "line 6 is damaged"),
    ],
)
def test_a_damaged_line_is_named(lines, line, content, words):
    if isinstance(content, tuple):
        field, value = content
        content = re.sub(rb'"%b":[0-9]+' % field.encode(), b'"%b":%d' % (field.encode(), value), lines[line])
    with pytest.raises(TraceFormatError, match=words):
        Trace.from_bytes(b"".join([*lines[:line], content, *lines[line + 1 :]]))


def test_steps_do_not_go_back(streams, trace, lines):
    batch = trace.batches[-1]
    more = b'{"seq":%d,"step":%d,"t_us":0,"events":[]}\n' % (batch.seq + len(batch.events), batch.step - 1)
    with pytest.raises(TraceFormatError, match=f"goes back from step {batch.step} to {batch.step - 1}"):
        Trace.from_bytes(b"".join(lines) + more)


@pytest.mark.parametrize("name", ["nowhere.pvtrace", "nowhere/run.pvtrace", "."])
def test_a_file_that_cannot_be_read_or_written_is_named(trace, tmp_path, name):
    path = tmp_path / name
    with pytest.raises(TraceFileError, match="cannot read the trace") as caught:
        Trace.load(path)
    assert isinstance(caught.value, PagedvizError)
    assert str(path) in str(caught.value)
    if name != "nowhere.pvtrace":
        with pytest.raises(TraceFileError, match="cannot write the trace"):
            trace.save(path)


WRITERS = [Trace.save, Trace.to_html, Trace.to_perfetto]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("name", ["a\0b", "", "\ud800", "/"])
def test_a_name_that_no_file_can_have_is_told(trace, tmp_path, monkeypatch, write, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TraceFileError, match=f"cannot write the (trace|page) {re.escape(repr(name))}: "):
        write(trace, name)
    with pytest.raises(TraceFileError, match=f"cannot read the trace {re.escape(repr(name))}: "):
        Trace.load(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [None, 3, b"run.pvtrace", ["run.pvtrace"]])
def test_what_is_no_path_is_told(trace, path):
    for use in (Trace.load, *(functools.partial(write, trace) for write in WRITERS)):
        with pytest.raises(ConfigError, match=re.escape(f"path={path!r}: must be a text or a pathlib.Path")):
            use(path)


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_a_file_with_damaged_bytes_gives_a_trace_or_an_error_of_ours(streams, seed):
    dice = random.Random(seed)
    data = bytearray(streams.trace_of(streams.random_run(seed % 7, steps=12)).to_bytes())
    for _ in range(dice.randint(1, 4)):
        data[dice.randrange(len(data))] = dice.choice(b'0123456789[]{}",-\n\x00\xffa')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedTraceWarning)
        try:
            trace = Trace.from_bytes(bytes(data))
            state = trace.state_at(trace.last_step)
            assert picture(state, trace.info, memory_history(trace))
        except TraceFormatError:
            pass
