"""Damaged trace files: where it is said to be, what is read before it, and that no file costs too much."""

import gzip
import random
import tracemalloc
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedviz.errors import DamagedTraceWarning, TraceFormatError, TruncatedTraceWarning
from pagedviz.events import Batch, BlockFreed, RequestScheduled, codec
from pagedviz.figures import picture
from pagedviz.trace import Trace, file, memory_history
from pagedviz.trace.invariants import MOST_BLOCKS

FREED = BlockFreed("device", 0, 5)


@pytest.fixture(scope="module")
def trace(streams):
    return streams.trace_of(streams.random_run(11))


@pytest.fixture(scope="module")
def lines(trace):
    return trace.to_bytes().splitlines(keepends=True)


def joined(lines, number, content):
    """The file with line ``number`` (from 1) replaced."""
    return b"".join([*lines[: number - 1], content, *lines[number:]])


def contradicting(trace, number):
    """The line ``number``, freeing a block that nobody ever had."""
    batch = trace.batches[number - 3]
    events = (FREED,) if len(batch.events) == 1 else (FREED, *batch.events[1:])
    return codec.encode_batch(Batch(batch.seq, batch.step, batch.t_us, events))


def check_sound(short, whole):
    """The trace is a beginning of the other, and can be looked at everywhere."""
    assert short.batches == whole.batches[: len(short.batches)]
    for step in range(short.first_step, short.last_step + 1):
        assert short.state_at(step) == Trace(whole.info, whole.start, short.batches).state_at(step)
    again = Trace.from_bytes(short.to_bytes(), sound_part=True)
    assert (again.batches, again.damage) == (short.batches, "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\n", "line 12 is damaged"),
        (b'{"seq":0,"step":1,"t_us":0,"events":[["BlockStolen",1]]}\n', "line 12 is damaged: .*BlockStolen"),
        (b'{"seq":0,"step":1,"t_us":0,"events":[]}\n', "line 12 begins with event 0; [0-9]+ was expected"),
        (b"\xff\n" * 100_000, "line 12 is damaged"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "line 12 is damaged"),
    ],
)
def test_what_is_before_a_damaged_line_can_be_read(trace, lines, tmp_path, content, words):
    path = tmp_path / "run.pvtrace"
    path.write_bytes(joined(lines, 12, content))
    step = trace.batches[8].step
    with pytest.raises(TraceFormatError, match=rf"run\.pvtrace: {words}.*sound_part=True.*to step {step}$"):
        Trace.load(path)
    with pytest.warns(DamagedTraceWarning, match=rf"run\.pvtrace: {words}.* to step {step}, was read"):
        short = Trace.load(path, sound_part=True)
    assert len(short.batches) == 9
    assert short.damage.startswith("line 12 ")
    assert not short.truncated
    check_sound(short, trace)


def test_a_free_of_a_block_never_allocated(trace, lines, tmp_path):
    path = tmp_path / "run.pvtrace"
    path.write_bytes(joined(lines, 12, contradicting(trace, 12)))
    batch = trace.batches[9]
    words = f"event {batch.seq} in step {batch.step} contradicts what came before"
    late = Trace.load(path)
    assert late.damage == ""
    with pytest.raises(TraceFormatError, match=rf"{words}.*; Trace\.load\(path, sound_part=True\) reads"):
        late.state_at(late.last_step)
    assert late.state_at(trace.batches[8].step) == trace.state_at(trace.batches[8].step)
    with pytest.warns(DamagedTraceWarning, match=f"line 12 is damaged: {words}.*BlockFreed"):
        short = Trace.load(path, sound_part=True)
    assert len(short.batches) == 9
    check_sound(short, trace)


def test_a_refused_event_changes_nothing_that_states_share(streams):
    whole = streams.trace_of(streams.random_run(11))
    start = whole.state_at(whole.last_step)
    name = next(name for name, request in start.requests.items() if request.status == "finished")
    again = Batch(start.seq, start.step, start.t_us, (RequestScheduled(name, True),))
    data = Trace(whole.info, start, [again]).to_bytes()
    with pytest.warns(DamagedTraceWarning, match="is finished, not waiting"):
        short = Trace.from_bytes(data, sound_part=True)
    assert short.start == start


def test_the_first_damage_counts(trace, lines):
    data = joined(joined(lines, 20, b"x\n").splitlines(keepends=True), 12, contradicting(trace, 12))[:-7]
    with pytest.warns(DamagedTraceWarning, match="the trace: line 12 is damaged"):
        short = Trace.from_bytes(data, sound_part=True)
    assert (len(short.batches), short.truncated) == (9, False)
    with pytest.raises(TraceFormatError, match="line 20 is damaged"):
        Trace.from_bytes(data)


def test_a_sound_file_has_no_damage(trace, lines):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sound_part in (False, True):
            whole = Trace.from_bytes(trace.to_bytes(), sound_part=sound_part)
            assert (whole.batches, whole.damage, whole.truncated) == (trace.batches, "", False)
    for sound_part in (False, True):
        with pytest.warns(TruncatedTraceWarning, match="the trace is cut off behind line"):
            cut = Trace.from_bytes(trace.to_bytes()[:-3], sound_part=sound_part)
        assert cut.truncated
        assert cut.damage == f"cut off behind line {len(lines) - 1}, in step {cut.last_step} or later"


@pytest.mark.parametrize("number", [1, 2])
def test_without_a_first_state_nothing_is_sound(lines, number):
    with pytest.raises(TraceFormatError, match=f"line {number}"):
        Trace.from_bytes(joined(lines, number, b"{}\n"), sound_part=True)


@pytest.mark.parametrize("sound_part", [False, True])
def test_a_newer_version_is_always_refused(lines, sound_part):
    newer = lines[0].replace(b'"version":3', b'"version":4')
    with pytest.raises(TraceFormatError, match="version 4; this pagedviz reads 1 to 3: update pagedviz"):
        Trace.from_bytes(joined(lines, 1, newer), sound_part=sound_part)


def test_gzip_that_is_damaged_in_the_middle(streams, tmp_path):
    trace = streams.trace_of(streams.random_run(3, steps=2500))
    path = tmp_path / "run.pvtrace.gz"
    data = bytearray(gzip.compress(trace.to_bytes(), mtime=0))
    assert len(data) > 150_000  # several chunks
    middle = len(data) * 3 // 4
    data[middle : middle + 200] = bytes(random.Random(1).randbytes(200))
    path.write_bytes(data)
    with pytest.raises(TraceFormatError, match=r"line \d+.*sound_part=True"):
        Trace.load(path)
    with pytest.warns(DamagedTraceWarning, match=r"line \d+"):
        short = Trace.load(path, sound_part=True)
    assert len(trace.batches) // 4 < len(short.batches) < len(trace.batches)
    assert short.batches == trace.batches[: len(short.batches)]
    short.state_at(short.last_step)


def test_gzip_whose_checksum_is_wrong(trace, tmp_path):
    data = bytearray(gzip.compress(trace.to_bytes(), mtime=0))
    data[-6] ^= 1
    with pytest.raises(TraceFormatError, match="gzip stream of the trace is damaged"):
        Trace.from_bytes(bytes(data))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), packed=st.booleans())
def test_any_damage_leaves_a_sound_trace_or_an_error_of_ours(streams, seed, packed):
    dice = random.Random(seed)
    whole = streams.trace_of(streams.random_run(seed % 5, steps=12))
    data = bytearray(gzip.compress(whole.to_bytes(), mtime=0) if packed else whole.to_bytes())
    for _ in range(dice.randint(1, 4)):
        data[dice.randrange(len(data))] = dice.choice(b'0123456789[]{}",-\n\x00\xffa')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            short = Trace.from_bytes(bytes(data), sound_part=True)
        except TraceFormatError:
            return
        for step in sorted({batch.step for batch in short.batches}):
            short.state_at(step)
        assert Trace.from_bytes(short.to_bytes(), sound_part=True).damage == ""
        assert picture(short.state_at(short.last_step), short.info, memory_history(short))


# -- files that are made to cost much ------------------------------------------------------------------------------


@pytest.mark.parametrize("sound_part", [False, True])
def test_a_gzip_bomb_is_not_unpacked(lines, sound_part):
    bomb = gzip.compress(b"".join(lines)) + gzip.compress(bytes(1 << 24)) * 40
    with pytest.raises(TraceFormatError, match=r"gzip of .* bytes that grow to more than 268,435,456"):
        Trace.from_bytes(bomb, sound_part=sound_part)


def test_what_grows_a_little_is_read(monkeypatch, trace):
    data = gzip.compress(trace.to_bytes())
    monkeypatch.setattr(file, "MOST_UNPACKED", 100)
    assert Trace.from_bytes(data).batches == trace.batches
    monkeypatch.setattr(file, "MOST_GROWTH", 2)
    with pytest.raises(TraceFormatError, match=f"gzip of {len(data):,} bytes"):
        Trace.from_bytes(data)


def test_two_hundred_thousand_empty_gzip_streams(trace):
    data = gzip.compress(trace.to_bytes()) + gzip.compress(b"") * 200_000
    assert Trace.from_bytes(data).batches == trace.batches


def test_a_hundred_million_empty_lines(lines):
    with pytest.raises(TraceFormatError, match="line 3 is damaged"):
        Trace.from_bytes(b"".join(lines[:2]) + b"\n" * 100_000_000)


@pytest.mark.parametrize("blocks", [MOST_BLOCKS + 1, 10**15, 10**30])
def test_a_pool_that_no_table_can_name_is_refused(lines, blocks):
    line = b'{"keyframe":{"block_size":16,"num_blocks":{"device":%d}}}\n' % blocks
    with pytest.raises(TraceFormatError, match="line 2"):
        Trace.from_bytes(joined(lines[:2], 2, line), sound_part=True)


def test_nothing_is_allocated_for_blocks_that_are_free(lines):
    line = b'{"keyframe":{"block_size":16,"num_blocks":{"device":%d}}}\n' % MOST_BLOCKS
    tracemalloc.start()
    try:
        trace = Trace.from_bytes(joined(lines[:2], 2, line), sound_part=True)
        assert trace.state_at(0).num_free() == MOST_BLOCKS
        assert memory_history(trace)[0].use.total == 16 * MOST_BLOCKS
        assert len(picture(trace.state_at(0), trace.info)) < 1_000_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000
