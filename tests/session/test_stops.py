"""Where a run stops by itself: breakpoints, steps until something happened. With a real engine."""

import threading

import pytest
from stopping import KINDS, PRESSED, Locked, events_in, kinds_in, rest, stops

import pagedviz as pv
from pagedviz.events import BlockCopied, BlockEvicted, StepFinished


@pytest.fixture
def session(engine):
    with pv.Session(engine) as session:
        yield session


def test_a_run_stops_after_each_step_with_the_event(pressed):
    pressed.break_on("BlockCopied")

    seen = stops(pressed)

    copied = sorted(
        {batch.step for batch in pressed.trace.batches if any(isinstance(e, BlockCopied) for e in batch.events)}
    )
    assert [status.step for status in seen] == copied
    assert seen[0].message == f"stopped: BlockCopied in step {copied[0]} (breakpoint 1)"
    assert pressed.status.state == "finished"


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stops_once_before_each_step_that_causes_the_event(pressed, kind):
    pressed.break_on(break_before=kind)

    seen = stops(pressed)

    caused = [step for step in range(1, pressed.status.step + 1) if kind in kinds_in(pressed, step)]
    assert caused
    assert [status.step + 1 for status in seen] == caused
    assert seen[0].message == f"stopped before step {caused[0]}, which will cause {kind} (breakpoint 1)"


def test_a_single_step_also_goes_through(pressed):
    pressed.break_on(break_before="BlockCopied")
    stood = rest(pressed).step

    pressed.step()

    assert pressed.status.step == stood + 1
    assert "BlockCopied" in kinds_in(pressed, stood + 1)


def test_tokens_are_those_of_a_run_without_breakpoints(pressed, tiny):
    engine = tiny.tiny_engine(**PRESSED)
    with pv.Session(engine) as plain:
        for number in range(3):
            plain.submit([number + 1] * 9, max_tokens=16, temperature=0, ignore_eos=True, n=1 + number % 2)
        plain.run()
        expected = {name: [s.token_ids for s in output.outputs] for name, output in plain.outputs.items()}
    pressed.break_on(lambda event: False)
    pressed.break_on(break_before="SwappedIn")
    pressed.predict()

    stops(pressed)

    assert {name: [s.token_ids for s in output.outputs] for name, output in pressed.outputs.items()} == expected


def test_by_block_by_sequence_by_class_and_by_function(session):
    def grown(event):
        return isinstance(event, StepFinished) and event.decode_tokens

    session.submit("one two three", max_tokens=30, temperature=0, ignore_eos=True)
    for options in (
        {"block": 1},
        {"sequence": 0, "kind": "TokenAppended"},
        {"kind": StepFinished},
        {"kind": grown},
    ):
        made = session.break_on(**options)
        before = session.status.step
        status = rest(session)
        assert status.step > before
        assert f"in step {status.step} (breakpoint {made.id})" in status.message
        made.remove()
    assert session.breakpoints == ()

    texts = [session.break_on(block=3, tier="device", sequence=2).text, session.break_on(grown).text]
    assert texts == ["any event of device block 3 of sequence 2", "any event where grown"]
    session.clear_breakpoints()
    session.run()
    assert session.status.state == "finished"


def test_all_that_is_given_must_match(session):
    session.submit("one two", max_tokens=5)
    session.break_on("TokenAppended", sequence=7)

    session.run(60)

    assert session.status.state == "finished"


def test_swapped_blocks_are_matched_in_their_own_tier(pressed):
    pressed.break_on("SwappedOut", block=0, tier="host")
    step = rest(pressed).step

    (event,) = [e for e in events_in(pressed, step) if type(e).__name__ == "SwappedOut"]
    assert 0 in [target for _, target in event.pairs]


def test_a_disabled_breakpoint_does_not_stop(session):
    session.submit("one two", max_tokens=6)
    made = session.break_on("StepFinished")
    rest(session)
    made.enabled = False

    assert rest(session).state == "finished"
    assert session.status.breaks[0].enabled is False


def test_a_breakpoint_in_the_last_step_is_told_and_new_work_waits(session):
    session.submit("one two", max_tokens=3)
    session.break_on("RequestFinished")
    session.start()
    session._loop.await_end(60)
    assert session.status.message == "stopped: RequestFinished in step 3 (breakpoint 1)"

    session.submit("three", max_tokens=3)

    assert not session._loop.alive


@pytest.mark.parametrize("error", [AttributeError, SystemExit, GeneratorExit])
def test_a_predicate_that_raises_pauses_the_run_and_hurts_nothing(session, error):
    def broken(event):
        raise error("of mine")

    name = session.submit("one two", max_tokens=6)
    made = session.break_on(broken)
    status = rest(session)

    assert (status.state, status.step) == ("paused", 1)
    told = f"the predicate (breakpoint 1) raised {error.__name__}: of mine, in step 1; it is disabled"
    assert status.message == f"stopped: {told}"
    assert isinstance(made.error, error)
    assert not made.enabled
    assert rest(session).state == "finished"
    assert session.outputs[name].finished
    session.engine.audit()


def test_a_policy_that_cannot_look_ahead_stops_once(tiny):
    with pv.Session(tiny.tiny_engine(victim=Locked())) as session:
        session.submit("one", max_tokens=2)
        session.predict()
        assert "step 1, which cannot be planned: victim policy 'locked'" in rest(session).message
        session.step()
        assert session.status.step == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs something to wait for"),
        ({"kind": "BlockExploded"}, "kind='BlockExploded' is no kind of event and no function; valid: StepStarted"),
        ({"kind": int}, "no kind of event"),
        ({"kind": 3}, "kind=3"),
        ({"block": -1}, "block=-1 of tier 'device': must be a whole number from 0 to 63"),
        ({"block": 64}, "block=64"),
        ({"block": True}, "block=True"),
        ({"block": 1.0}, "block=1.0"),
        ({"block": 1, "tier": "disk"}, "tier='disk' is unknown; valid: 'device', 'host'"),
        ({"block": 1, "tier": ["host"]}, "is unknown"),
        ({"block": 0, "tier": "host"}, "the tier has no blocks"),
        ({"tier": "device"}, "goes with a block"),
        ({"sequence": -2}, "sequence=-2: must be a whole number, 0 or more"),
        ({"sequence": "a"}, "sequence='a'"),
        ({"kind": "StepFinished", "block": 1}, "touches no block"),
        ({"kind": "BlockFreed", "sequence": 1}, "names no sequence"),
        (
            {"break_before": "TokenAppended"},
            "break_before='TokenAppended': what can be foretold is RequestPreempted",
        ),
        ({"break_before": BlockEvicted, "block": 1}, "stands alone"),
        ({"break_before": 3}, "break_before=3"),
    ],
)
def test_a_bad_breakpoint_is_told(session, options, message):
    with pytest.raises(pv.ConfigError) as caught:
        session.break_on(**options)

    assert message in str(caught.value)
    assert session.breakpoints == ()


def test_step_until(session):
    session.submit("one two three", max_tokens=40, temperature=0, ignore_eos=True)
    session.submit("four", max_tokens=60, temperature=0, ignore_eos=True)

    assert session.step(until=4) is session
    assert (session.status.state, session.status.step) == ("paused", 4)
    session.step(until="BlockAllocated")
    assert any(type(event).__name__ == "BlockAllocated" for event in events_in(session, session.status.step))
    session.step(until=pv.events.SequenceFinished)
    assert session.status.step == 40
    session.step(until=lambda event: getattr(event, "position", 0) == 50)
    assert session.breakpoints == session.status.breaks == ()
    session.step(until="BlockCopied")
    assert (session.status.state, session.status.step) == ("finished", 60)


def test_step_until_ends_at_a_breakpoint(session):
    session.submit("one two three", max_tokens=40, temperature=0, ignore_eos=True)
    session.break_on(lambda event: isinstance(event, StepFinished) and session.status.step == 5)

    session.step(until=30)

    assert session.status.step == 5


def test_what_step_until_cannot_do_is_told(session):
    session.submit("one two three", max_tokens=10, temperature=0, ignore_eos=True)
    session.step(3)

    with pytest.raises(pv.SessionError, match="until=3: the run has finished step 3; 4 or more is ahead"):
        session.step(until=3)
    for until in ("Nothing", True, 1.5, []):
        with pytest.raises(pv.ConfigError):
            session.step(until=until)
    with pytest.raises(pv.SessionError, match="give one of them"):
        session.step(2, until=9)
    with pytest.raises(pv.SessionError, match="ZeroDivisionError") as caught:
        session.step(until=lambda event: 1 / 0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert session.status.state == "paused"
    session.run()


# -- of views -----------------------------------------------------------------------------------------------------


def test_views_stop_a_running_session_and_hear_of_it(session):
    session.submit("one two", max_tokens=5000, ignore_eos=True)
    paused, heard = threading.Event(), []

    def listen(urgent):
        heard.append(session.status)
        if session.status.state == "paused":
            paused.set()

    session.watch(listen)
    session.start()
    session.command("break", kind="TokenAppended", block=None)
    assert paused.wait(60)
    assert "TokenAppended in step" in heard[-1].message
    assert [(item.id, item.text, item.enabled) for item in heard[-1].breaks] == [(1, "TokenAppended", True)]

    taken = session.status.commands
    session.command("unbreak", id=1)
    session.command("predict", on=True)
    session.command("break", before="BlockEvicted")
    assert session.status.commands == taken + 3
    assert [item.text for item in session.status.breaks] == ["before BlockEvicted"]
    for command, details in (("unbreak", {"id": 9}), ("break", {"kind": "No"}), ("guess", {"block": 3})):
        with pytest.raises(pv.PagedvizError):
            session.command(command, **details)
    session.stop()


def test_a_closed_session_takes_no_breakpoints(session):
    session.close()

    for act in (lambda: session.break_on("BlockCopied"), session.predict, lambda: session.guess(block=0),
                lambda: session.command("break", kind="BlockCopied")):  # fmt: skip
        with pytest.raises(pv.SessionError, match="closed"):
            act()


def test_nothing_is_kept_or_planned_when_nobody_wants_to_know(session, monkeypatch):
    def never():
        raise AssertionError("nobody asked")

    monkeypatch.setattr(session.engine, "preview", never)
    session.submit("one two", max_tokens=20)
    session.run()

    assert session._stops._batches == []
