"""What is said of the step ahead while a run stands: once, anew at each look, and nothing when nothing is ahead."""

import pytest
from stopping import Locked, rest

import pagedviz as pv
from pagedviz.events import RequestPreempted
from pagedviz.session.predictions import Pick, Upcoming


@pytest.fixture
def shared(tiny):
    """Two samples share a half-full block: the next step copies it."""
    engine = tiny.tiny_engine(num_device_blocks=64)
    with pv.Session(engine) as session:
        session.submit([1, 2, 3], max_tokens=40, n=2, temperature=1, ignore_eos=True)
        session.predict()
        assert rest(session).upcoming.kinds == ("BlockCopied",)
        yield session
    engine.audit()


def looked(session):
    session._loop.await_rest()
    return session.status


def test_what_is_ahead_is_said_once_however_often_it_looks(shared):
    said = "stopped before step 2, which will cause BlockCopied"
    assert shared.status.message == said
    for _ in range(3):
        shared.predict()
        shared.submit([7, 8], max_tokens=3)
        status = looked(shared)
        assert (status.message, status.upcoming.kinds) == (said, ("BlockCopied",))


def test_why_it_stands_is_kept_while_what_is_ahead_is_said_anew(shared):
    shared.predict(False)
    shared.break_on("BlockCopied")
    made = shared.break_on(break_before="BlockCopied")
    shared.submit([1, 2, 3], max_tokens=40, n=2, temperature=1, ignore_eos=True)
    looked(shared)
    shared.step()
    both = "stopped: BlockCopied in step 2 (breakpoint 1); stopped before step 3, which will cause BlockCopied"
    assert looked(shared).message == f"{both} (breakpoint 2)"
    made.enabled = False
    assert looked(shared).message == "stopped: BlockCopied in step 2 (breakpoint 1)"
    made.enabled = True
    assert looked(shared).message == f"{both} (breakpoint 2)"


@pytest.fixture
def before_a_copy(tiny):
    """It stands, paused by hand, before a step that copies; nobody waits for that yet."""
    engine = tiny.tiny_engine(num_device_blocks=64)
    with pv.Session(engine) as session:
        session.submit([1, 2, 3], max_tokens=40, n=2, temperature=1, ignore_eos=True)
        session.step()
        assert session.engine.preview().kinds == ("BlockCopied",)
        yield session
    engine.audit()


@pytest.mark.parametrize("until", [None, "BlockCopied"])
@pytest.mark.parametrize("waits", ["predict", "break_before"])
def test_a_program_that_waits_for_the_very_next_step_is_stopped_before_it(before_a_copy, waits, until):
    session = before_a_copy
    if waits == "predict":
        session.predict()
    else:
        session.break_on(break_before="BlockCopied")
    session.step(until=until)
    assert (session.status.step, session.status.state) == (1, "paused")
    assert "stopped before step 2, which will cause BlockCopied" in session.status.message
    session.step(until=until)
    assert session.status.step == 2


def test_what_a_person_was_shown_or_guessed_is_gone_through(before_a_copy):
    before_a_copy.predict()
    before_a_copy.guess(sequence=0)
    before_a_copy.step()
    assert before_a_copy.status.step == 2
    assert len(before_a_copy.predictions) == 1


def test_a_button_beside_the_warning_goes_through(before_a_copy):
    before_a_copy.predict()
    assert before_a_copy.status.upcoming is not None
    before_a_copy.command("step")
    before_a_copy._loop.await_rest()
    assert before_a_copy.status.step == 2


def test_what_does_not_change_what_is_ahead_stops_nobody_again(shared):
    assert shared.status.step == 1
    shared.submit([7, 8], max_tokens=3)
    shared.step()
    assert shared.status.step == 2


def test_nothing_is_ahead_when_the_sharers_are_gone(shared):
    stays = shared.submit([7, 8], max_tokens=3)
    assert looked(shared).upcoming is not None
    shared.abort("r0")
    status = looked(shared)
    assert shared.engine.preview().kinds == ()
    assert (status.state, status.message, status.upcoming) == ("paused", "", None)
    with pytest.raises(pv.SessionError, match="nothing to guess"):
        shared.guess(block=0)
    shared.run()
    assert shared.outputs[stays].finished


def test_nothing_is_ahead_when_all_is_aborted(shared):
    shared.guess(block=0)
    shared.abort("r0")
    status = looked(shared)
    assert (status.state, status.message, status.upcoming) == ("paused", "", None)
    assert shared._stops.predictions.guess is None


def test_nothing_is_ahead_of_a_run_that_was_stopped(shared):
    shared.stop()
    assert (shared.status.message, shared.status.upcoming) == ("", None)
    with pytest.raises(pv.SessionError, match="nothing to guess"):
        shared.guess(block=0)


def test_a_policy_that_cannot_look_ahead_is_not_told_of_when_nothing_is_left(tiny):
    with pv.Session(tiny.tiny_engine(victim=Locked())) as session:
        name = session.submit("one", max_tokens=2)
        session.predict()
        assert "cannot be planned" in rest(session).message
        session.abort(name)
        assert looked(session).message == ""


@pytest.mark.parametrize("guess", [{"request": "r0"}, {"sequence": 0}, {"block": 0}])
def test_a_guess_stays_as_long_as_it_answers_the_question(shared, guess):
    shared.guess(**guess)
    other = shared.submit([1, 2, 3], max_tokens=40)
    looked(shared)
    shared.step()
    (made,) = shared.predictions
    assert (made.step, made.kind, made.right) == (2, "BlockCopied", True)
    shared.abort(other)


@pytest.mark.parametrize("guess", [{"request": "r0"}, {"sequence": 1}])
def test_a_guess_of_somebody_who_is_gone_is_dropped(tiny, guess):
    with pv.Session(tiny.tiny_engine(num_device_blocks=64)) as session:
        for _ in range(2):
            session.submit([1, 2, 3], max_tokens=40, n=2, temperature=1, ignore_eos=True)
        session.predict()
        rest(session)
        session.guess(**guess)
        session.abort("r0")
        assert looked(session).upcoming.kinds == ("BlockCopied",)
        assert session._stops.predictions.guess is None
        session.step()
        assert session.predictions == ()


# -- steps that fail ----------------------------------------------------------------------------------------------


def fails(*args):
    raise RuntimeError("no such kernel")


def before_a_preemption(session):
    session.predict()
    while "RequestPreempted" not in (status := rest(session)).upcoming.kinds:
        pass
    return status


@pytest.mark.parametrize("right", [True, False])
def test_a_preemption_that_stands_though_its_step_failed_is_compared(pressed, monkeypatch, right):
    upcoming = before_a_preemption(pressed).upcoming
    chosen = pressed.engine.preview().preempted[0][0]
    pick = next(name for name in pressed.engine.unfinished_request_ids() if (name == chosen) == right)
    pressed.guess(request=pick)
    with monkeypatch.context() as patch:
        patch.setattr(pressed.engine._core.runner, "run", fails)
        with pytest.raises(pv.SessionError, match="no such kernel"):
            pressed.step()

    assert any(isinstance(event, RequestPreempted) for event in pressed.trace.batches[-1].events)
    assert (pressed.status.state, pressed.status.step) == ("failed", upcoming.step - 1)
    (made,) = pressed.predictions
    assert (made.kind, made.choice, made.right) == ("RequestPreempted", (Pick(request=chosen),), right)
    assert made.step == upcoming.step - 1  # where its event is in the trace
    assert (pressed.status.upcoming, pressed._stops.predictions.guess) == (None, None)
    pressed.predict(False)
    pressed.run()
    assert pressed.predictions == (made,)


def test_a_guess_that_a_failed_step_could_not_answer_is_no_prediction_and_is_asked_again(shared, monkeypatch):
    shared.guess(sequence=0)
    with monkeypatch.context() as patch:
        patch.setattr(shared.engine._core.runner, "run", fails)
        with pytest.raises(pv.SessionError, match="no such kernel"):
            shared.step()
    assert (shared.predictions, shared.status.upcoming) == ((), None)

    assert rest(shared).upcoming == Upcoming(2, ("BlockCopied",))
    shared.guess(sequence=1)
    shared.step()
    assert [made.guess for made in shared.predictions] == [Pick(sequence=1)]


def test_a_breakpoint_on_what_stands_of_a_failed_step_is_told_with_the_failure(pressed, monkeypatch):
    step = before_a_preemption(pressed).step
    pressed.predict(False)
    pressed.break_on("RequestPreempted")
    with monkeypatch.context() as patch:
        patch.setattr(pressed.engine._core.runner, "run", fails)
        with pytest.raises(pv.SessionError, match="no such kernel"):
            pressed.step()
    said = f"RuntimeError: no such kernel; stopped: RequestPreempted in step {step} (breakpoint 1)"
    assert pressed.status.message == said

    pressed.step()  # it has stood there: this goes through
    assert pressed.status.step == step + 1
