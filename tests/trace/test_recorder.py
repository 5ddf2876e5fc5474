import threading

import pytest

from pagedviz.events import EventBus
from pagedviz.trace import Recorder, Trace, apply_batch, record


class Engine:
    """A toy behind a real bus, as a recorder sees an engine."""

    def __init__(self, streams, seed=6):
        self.toy = streams.random_run(seed)
        self.info = streams.info_of(self.toy)
        self.state = streams.start_of(self.toy)
        self.bus = EventBus()
        self.subscribe = self.bus.subscribe
        self.waiting = list(self.toy.batches)

    def snapshot(self):
        return self.state.copy()

    def step(self):
        batch = self.waiting.pop(0)
        apply_batch(self.state, batch)
        self.bus.publish(batch.step, batch.events)


@pytest.fixture
def engine(streams):
    return Engine(streams)


def test_a_recorded_run_is_what_happened(engine):
    with record(engine) as recording:
        for _ in range(20):
            engine.step()
    trace = recording.trace
    assert [batch.events for batch in trace.batches] == [batch.events for batch in engine.toy.batches[:20]]
    assert trace.state_at(trace.last_step).blocks == engine.state.blocks
    engine.step()
    assert recording.trace is trace


def test_recording_may_begin_and_end_in_the_middle(engine):
    for _ in range(10):
        engine.step()
    with record(engine) as recording:
        for _ in range(10):
            engine.step()
        expected = engine.snapshot()
    engine.step()
    trace = recording.trace
    state = trace.state_at(trace.last_step)
    expected.t_us = state.t_us
    assert trace.start.seq > 0
    assert state == expected


def test_a_block_that_raises_keeps_what_was_recorded(engine):
    def failing():
        with record(engine) as recording:
            recordings.append(recording)
            engine.step()
            raise ZeroDivisionError

    recordings = []
    with pytest.raises(ZeroDivisionError):
        failing()
    engine.step()
    assert len(recordings[0].trace.batches) == 1


def test_bytes_are_those_of_the_trace(engine):
    with record(engine) as recording:
        for _ in range(10):
            engine.step()
    assert recording.to_bytes() == recording.trace.to_bytes()
    assert Trace.from_bytes(recording.to_bytes()).batches == recording.trace.batches


def test_lines_come_in_pieces_without_gaps(engine):
    recorder = Recorder(engine)
    assert recorder.lines_since(0) == (0, 0, b"")
    seq, pieces = 0, [recorder.snapshot().data]
    for _ in range(10):
        engine.step()
        engine.step()
        lines = recorder.lines_since(seq)
        assert (lines.seq, lines.next_seq) == (seq, recorder.next_seq)
        pieces.append(lines.data)
        seq = lines.next_seq
    assert recorder.lines_since(seq) == (seq, seq, b"")
    assert recorder.lines_since(seq + 99).data == b""
    assert b"".join(pieces) == recorder.to_bytes()


def test_a_reader_on_another_thread_sees_whole_lines_in_order(engine):
    recorder = Recorder(engine)
    done, pieces = threading.Event(), []

    def read():
        seq = 0
        while True:
            last = done.is_set()
            lines = recorder.lines_since(seq)
            assert lines.seq == seq
            pieces.append(lines.data)
            seq = lines.next_seq
            if last:
                return

    reader = threading.Thread(target=read)
    reader.start()
    while engine.waiting:
        engine.step()
    done.set()
    reader.join(timeout=60)
    assert not reader.is_alive()
    assert recorder.to_bytes().endswith(b"".join(pieces))
    assert recorder.snapshot().next_seq == recorder.next_seq
