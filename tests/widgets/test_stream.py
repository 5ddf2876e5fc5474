"""What goes over the wire and when, as docs/live-protocol.md says it. No browser, and a clock of our own."""

import itertools
import random
from types import SimpleNamespace

import pytest

from pagedviz.events import codec
from pagedviz.trace import Trace
from pagedviz.widgets.feed import SavedFeed
from pagedviz.widgets.stream import Stream

NO_HALTS = {"breaks": [], "predicting": False, "upcoming": None, "score": [0, 0]}


class Wire(list):
    """What was sent, and a clock that only a test moves."""

    now = 0.0

    def send(self, message, buffers):
        self.append((message, buffers, self.now))

    def clock(self):
        return self.now

    @property
    def batches(self):
        return [(message, buffers) for message, buffers, _ in self if message["type"] == "batch"]


@pytest.fixture
def wire():
    return Wire()


def test_hello_gets_the_whole_trace(run, wire):
    stream = Stream(run, wire.send, wire.clock)
    run.advance()
    run.advance()

    stream.receive({"cmd": "hello", "view": "v1"})

    message, buffers, _ = wire[-1]
    assert message == {
        "type": "snapshot",
        "view": "v1",
        "next_seq": run.bus.next_seq,
        "status": {"state": "ready", "step": 2, "message": "", "live": True, "commands": 0, **NO_HALTS},
    }
    assert Trace.from_bytes(b"".join(buffers)).batches == run.trace.batches


def test_a_view_says_which_step_is_looked_at(run, wire, caplog):
    looked = []
    stream = Stream(run, wire.send, wire.clock, looked.append)
    for step in (7, None):
        stream.receive({"cmd": "look", "step": step})
    stream.receive({"cmd": "look", "step": "7"})

    assert looked == [7, None]
    assert "no message of the live protocol" in caplog.text


def test_at_most_thirty_messages_a_second_and_no_event_is_lost(run, wire):
    stream = Stream(run, wire.send, wire.clock)
    draw = random.Random(0)
    while wire.now < 10:
        wire.now += draw.choice([0.0001, 0.001, 0.02, 0.1])
        run.advance()
    stream.flush(urgent=True)

    times = [now for _, _, now in wire[:-1]]
    assert all(later - earlier >= 1 / 30 for earlier, later in itertools.pairwise(times))
    assert wire[0][0]["seq"] == 0
    assert all(
        m["seq"] == before["next_seq"] for (before, _), (m, _) in zip(wire.batches, wire.batches[1:], strict=False)
    )
    lines = b"".join(buffer for _, buffers in wire.batches for buffer in buffers).splitlines()
    assert tuple(map(codec.decode_batch, lines)) == run.trace.batches


def test_what_cannot_wait_goes_at_once(run, wire):
    stream = Stream(run, wire.send, wire.clock)
    run.advance()
    run.advance()
    assert len(wire) == 1

    run.advance(urgent=True)
    assert len(wire) == 2
    run.state = "paused"
    stream.flush(urgent=True)

    message, buffers, _ = wire[-1]
    assert message["status"]["state"] == "paused"
    assert message["seq"] == message["next_seq"]
    assert buffers == []


def test_a_second_view_leaves_no_gap_and_no_overlap_for_the_first(run, wire):
    stream = Stream(run, wire.send, wire.clock)
    stream.receive({"cmd": "hello", "view": "a"})
    run.advance()
    run.advance()
    stream.receive({"cmd": "hello", "view": "b"})
    run.advance(urgent=True)

    kinds = [(message["type"], message.get("seq"), message["next_seq"]) for message, _, _ in wire]
    next_seq = 0
    for kind, seq, end in kinds:
        if kind == "batch":
            assert seq == next_seq
            next_seq = end
        else:
            assert end == next_seq  # everybody stands at the same event when a snapshot comes


def test_an_impatient_view_gets_one_answer(run, wire):
    run.postpones = True
    stream = Stream(run, wire.send, wire.clock)
    for _ in range(100):
        stream.receive({"cmd": "hello", "view": "a"})
    for question in run.questions:
        question()

    assert [message["type"] for message, _, _ in wire] == ["batch", "snapshot"]


@pytest.mark.parametrize("command", ["pause", "step", "resume", "stop"])
def test_commands_reach_the_run(run, wire, command):
    Stream(run, wire.send, wire.clock).receive({"cmd": command})

    assert run.taken == [command]


HALTS = [
    ({"cmd": "break", "kind": "BlockCopied", "block": None}, ("break", {"kind": "BlockCopied", "block": None})),
    ({"cmd": "break", "block": 3, "tier": "host"}, ("break", {"block": 3, "tier": "host"})),
    ({"cmd": "break", "before": "BlockEvicted"}, ("break", {"before": "BlockEvicted"})),
    ({"cmd": "unbreak", "id": 2}, ("unbreak", {"id": 2})),
    ({"cmd": "predict", "on": True}, ("predict", {"on": True})),
    ({"cmd": "guess", "request": "r1"}, ("guess", {"request": "r1"})),
]


@pytest.mark.parametrize(("message", "taken"), HALTS)
def test_what_stops_a_run_reaches_it(run, wire, message, taken):
    Stream(run, wire.send, wire.clock).receive(message)

    assert run.taken == [taken]


def test_the_status_says_what_stops_the_run(run, wire):
    stream = Stream(run, wire.send, wire.clock)
    run.breaks = [SimpleNamespace(id=1, text="BlockCopied", enabled=True)]
    run.predicting, run.score = True, (1, 2)
    run.upcoming = SimpleNamespace(step=7, kinds=("BlockEvicted",))

    stream.flush(urgent=True)

    status = wire[-1][0]["status"]
    assert status["breaks"] == [{"id": 1, "text": "BlockCopied", "enabled": True}]
    assert status["upcoming"] == {"step": 7, "kinds": ["BlockEvicted"]}
    assert (status["predicting"], status["score"]) == (True, [1, 2])


@pytest.mark.parametrize(
    "message",
    [
        None,
        3,
        [],
        {},
        {"cmd": "explode"},
        {"cmd": 3},
        {"cmd": "hello"},
        {"cmd": "hello", "view": 1},
        {"cmd": "break"},
        {"cmd": "break", "colour": 3},
        {"cmd": "break", 3: 4},
        {"cmd": "unbreak"},
        {"cmd": "unbreak", "id": "1"},
        {"cmd": "predict"},
        {"cmd": "predict", "on": 1},
        {"cmd": "guess"},
        {"cmd": "guess", "kind": "BlockEvicted"},
    ],
)
def test_what_is_no_message_is_shown_and_logged_and_breaks_nothing(run, wire, caplog, message):
    stream = Stream(run, wire.send, wire.clock)

    stream.receive(message)

    assert "no message of the live protocol" in wire[-1][0]["status"]["message"]
    assert len(caplog.records) == 1
    stream.receive({"cmd": "hello", "view": "a"})
    assert wire[-1][0]["type"] == "snapshot"


def test_a_stream_that_joins_late_sends_only_what_is_new(run, wire):
    run.advance()
    Stream(run, wire.send, wire.clock)
    before = run.bus.next_seq
    run.advance()

    assert wire[0][0]["seq"] == before


def test_a_closed_stream_is_silent(run, wire):
    Stream(run, wire.send, wire.clock).close()
    run.advance(urgent=True)

    assert wire == []


def test_a_saved_trace_speaks_the_same_protocol(run, wire):
    run.advance()
    run.advance()
    feed = SavedFeed(run.trace)
    stream = Stream(feed, wire.send, wire.clock)

    stream.receive({"cmd": "hello", "view": "a"})
    for message in ({"cmd": "pause"}, *(message for message, _ in HALTS)):
        stream.receive(message)
    stream.receive({"cmd": "hello", "view": "b"})

    message, buffers, _ = wire[-1]
    assert message["status"] == {
        "state": "finished", "step": 2, "message": "", "live": False, "commands": 0, **NO_HALTS
    }  # fmt: skip
    assert message["next_seq"] == run.bus.next_seq
    assert Trace.from_bytes(buffers[0]).batches == run.trace.batches
