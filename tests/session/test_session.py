"""The session around a real engine: who may do what when, and that nothing leaks."""

import asyncio
import gc
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest

import pagedviz as pv
from pagedviz.events import RequestFinished
from pagedviz.session import Session

HERE = Path(__file__).parent


@pytest.fixture
def session(engine):
    with Session(engine) as session:
        yield session
    assert engine.stats()["num_free_blocks"] == 64


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "pagedviz-engine"]


def test_run_generates_what_the_engine_generates_alone(session, tiny):
    alone = tiny.tiny_engine(num_device_blocks=64).generate("one two three", max_tokens=12, temperature=0)

    name = session.submit("one two three", max_tokens=12, temperature=0)
    session.run()

    assert session.status.state == "finished"
    assert session.outputs[name].finished
    assert session.outputs[name].outputs[0].text == alone[0].outputs[0].text
    assert threads() == []


def test_submit_refuses_at_the_call_and_other_requests_go_on(session):
    session.submit("one two", max_tokens=20)
    session.step()

    for prompt, options in [("", {}), ([], {}), ([10**9], {}), ("a", {"n": 0}), ("a", {"max_tokens": 0}),
                            ("a", {"temperature": -1}), ("a", {"tempurature": 1}), ([1] * 5000, {})]:  # fmt: skip
        with pytest.raises(pv.RequestError):
            session.submit(prompt, **options)

    session.run()
    assert session.status.state == "finished"
    assert [output.finished for output in session.outputs.values()] == [True]


def test_chat_puts_messages_as_the_engine_does(tiny):
    engine = tiny.tiny_engine(num_device_blocks=64)
    engine.tokenizer.apply_chat_template = lambda messages, **options: " ".join(m["content"] for m in messages)
    messages = [{"role": "user", "content": "one two"}, {"role": "assistant", "content": "three"}]
    (alone,) = engine.chat(messages, max_tokens=5, temperature=0, chat_template="given")
    with Session(engine) as session:
        mine = session.chat(messages, request_id="mine", max_tokens=5, temperature=0, chat_template="given")
        with pytest.raises(pv.RequestError, match="no chat template"):
            session.submit(messages)
        with pytest.raises(pv.RequestError, match="must be a list of messages"):
            session.chat("one two", chat_template="given")
        session.run()

    assert (mine, *session.outputs) == ("mine", "mine")
    told = session.outputs["mine"]
    assert (
        (told.prompt, told.prompt_token_ids)
        == (alone.prompt, alone.prompt_token_ids)
        == ("one two three", (34, 58, 56))
    )
    assert told.outputs[0].token_ids == alone.outputs[0].token_ids
    with pytest.raises(pv.SessionError, match="closed"):
        session.chat(messages)


def test_pause_step_resume_stop(session):
    session.submit("one two", max_tokens=500, ignore_eos=True)
    session.start()
    assert session.status.state == "running"

    session.pause()
    paused = session.status
    assert paused.state == "paused"
    assert session.status == paused

    session.step()
    assert session.status.step == paused.step + 1
    session.step(5)
    assert session.status.step == paused.step + 6
    assert session.engine.stats()["steps"] == paused.step + 6

    session.resume()
    assert session.status.state == "running"
    session.stop()
    assert session.status.state == "stopped"
    assert not session.engine.has_unfinished_requests()
    assert threads() == []


def test_step_from_ready_begins_paused(session):
    session.submit("one two", max_tokens=5)

    session.step()

    assert (session.status.state, session.status.step) == ("paused", 1)


def test_step_ends_with_the_work(session):
    session.submit("one two", max_tokens=3)

    session.step(100)

    assert (session.status.state, session.status.step) == ("finished", 3)
    session.step()
    assert (session.status.state, session.status.step) == ("finished", 3)


def test_step_needs_a_number_of_steps(session):
    with pytest.raises(pv.SessionError, match="at least 1"):
        session.step(0)


@pytest.mark.parametrize("options", [{"n": 800}, {"until": 800}])
def test_ctrl_c_pauses_single_steps(session, options):
    loop = session._loop

    def interrupt(batch):
        if batch.step == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            with loop._control:
                loop._control.wait_for(lambda: not loop._orders.owed, 30)

    session.submit("one two", max_tokens=900, ignore_eos=True)
    unsubscribe = session.engine.subscribe(interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.step(**options)
    unsubscribe()

    assert (session.status.state, session.status.step) == ("paused", 3)
    assert not loop.moving


def test_submit_while_it_runs_and_after_it_ended(session):
    session.submit("one two", max_tokens=400, ignore_eos=True)
    session.start()
    second = session.submit("three", max_tokens=3, request_id="mine")
    assert second == "mine"
    session.run()
    assert session.status.state == "finished"

    third = session.submit("four five", max_tokens=3)  # starts it again
    session._loop.await_end(60)

    assert all(output.finished for output in session.outputs.values())
    assert {second, third} < set(session.outputs)


def test_many_threads_may_submit(session):
    session.submit("one", max_tokens=50)
    session.start()
    workers = [threading.Thread(target=session.submit, args=("a b",), kwargs={"max_tokens": 2}) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    session._loop.await_end(60)
    if session.engine.has_unfinished_requests():  # it may have run dry in between; a submit started it again
        session.run()

    assert len(session.outputs) == 9
    assert all(output.finished for output in session.outputs.values())


def test_abort_one_of_two(session):
    first = session.submit("one two", max_tokens=500, ignore_eos=True)
    second = session.submit("three", max_tokens=5)
    session.step(2)

    assert session.abort(first)
    assert not session.abort(first)
    session.run()

    assert session.outputs[second].finished
    reasons = {e.request: e.reason for e in session.trace.events if isinstance(e, RequestFinished)}
    assert reasons == {first: "abort", second: "length"}


def test_an_engine_failure_is_told_and_the_engine_goes_on(session, monkeypatch):
    name = session.submit("one two", max_tokens=8)
    session.step(2)
    with monkeypatch.context() as patch:

        def fail(*args, **kwargs):
            raise RuntimeError("no such kernel")

        patch.setattr(session.engine._paged.model, "forward", fail)
        patch.setattr(session.engine, "step", fail)
        with pytest.raises(pv.SessionError, match="no such kernel") as caught:
            session.run()
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert (session.status.state, session.status.message) == ("failed", "RuntimeError: no such kernel")
        with pytest.raises(pv.SessionError):
            session.step()
        with pytest.raises(pv.SessionError):
            asyncio.run(session.start().wait())
    assert threads() == []

    session.run()
    assert session.outputs[name].finished
    assert session.status.message == ""


def test_wait(session):
    with pytest.raises(pv.SessionError, match="before start"):
        asyncio.run(session.wait())
    session.submit("one two", max_tokens=20)

    async def notebook():
        ticks = 0

        async def other():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        session.start()
        await session.wait()
        beside.cancel()
        return ticks

    assert asyncio.run(notebook()) > 1  # the loop was free meanwhile
    assert session.status.state == "finished"
    asyncio.run(session.wait())  # it is over: returns at once


def test_a_wait_that_is_cancelled_leaves_nothing_behind(session):
    session.submit("one two", max_tokens=500, ignore_eos=True)

    async def notebook():
        session.start()
        waiting = asyncio.create_task(session.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(notebook())
    assert len(session._loop._listeners) == 0
    assert session.status.state == "running"


def test_run_with_a_timeout_returns_and_goes_on(session):
    session.submit("one two", max_tokens=500, ignore_eos=True)

    assert session.run(timeout=0.0) is session
    assert session.status.state == "running"


def test_a_new_session_closes_the_old_one(engine):
    old = Session(engine)
    old.submit("one two", max_tokens=500, ignore_eos=True)
    old.start()

    new = Session(engine)

    assert old.status.state == "stopped"
    assert not engine.has_unfinished_requests()
    seen = len(old.trace.batches)
    for act in (lambda: old.submit("a"), old.start, old.resume, old.step, old.run):
        with pytest.raises(pv.SessionError, match="closed"):
            act()
    for command in ("resume", "step", "pause", "stop"):
        old.command(command)  # of a view that is still on the page
    new.submit("three", max_tokens=3)
    new.run()
    assert new.status.state == "finished"
    assert len(old.trace.batches) == seen
    new.close()
    new.close()


def test_a_session_that_nobody_has_any_more_lets_go_of_the_engine(tiny):
    engine = tiny.tiny_engine(num_device_blocks=8)
    session = Session(engine)
    session.submit("one", max_tokens=2)
    session.run()
    gone = weakref.ref(session)
    session.close()

    del session
    gc.collect()

    assert gone() is None


def test_the_trace_is_the_engine(session):
    session.submit("one two three four", max_tokens=30, n=3, temperature=1.0)
    session.step(10)

    state = session.trace.state_at(session.trace.last_step)
    snapshot = session.engine.snapshot()

    assert state.blocks == snapshot.blocks
    assert {s: q.tables for s, q in state.sequences.items()} == {s: q.tables for s, q in snapshot.sequences.items()}
    assert session.trace.last_step == session.status.step == 10


def test_repr_is_a_line(session):
    assert repr(session) == "<Session ready at step 0>"


TINY = "import pagedviz as pv, tiny; engine = tiny.tiny_engine(num_device_blocks=64)"
MADE_UP = "import pagedviz as pv, made_up; made_up.Most.steps = 10**9; engine = made_up.Most()"


@pytest.mark.parametrize(
    ("state", "engine"),
    [("running", TINY), ("running", MADE_UP), ("paused", MADE_UP)],
    ids=["running", "running, made up", "paused, made up"],
)
def test_the_interpreter_exits_while_the_thread_is_alive(state, engine):
    """The thread is the session's, whatever the engine; a real one may be in the midst of torch's code."""
    script = f"""
        import sys; sys.path += {[str(HERE), str(HERE.parent / "browser")]!r}
        {engine}
        session = pv.Session(engine)
        session.submit("one two", max_tokens=900, ignore_eos=True)
        session.step()
        if {state!r} == "running":
            session.start()
        assert any(thread.name == "pagedviz-engine" for thread in __import__("threading").enumerate())
        print("end")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=300, check=False
    )

    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


def test_the_module_needs_no_torch():
    script = "import sys, pagedviz.session; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], timeout=100, check=False).returncode == 0
