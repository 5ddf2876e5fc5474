"""Cells that run again and again: what a view of an old run keeps is its trace, not the engine's memory."""

import gc
import weakref

import pytest

import pagedviz as pv

MANY, FEW = 30, 3
SMALL = {"num_device_blocks": 8, "block_size": 4}


def begin(engine, tokens=2):
    session = pv.Session(engine)
    session.submit([1, 2, 3], max_tokens=tokens, temperature=0, ignore_eos=True)
    return session


def pool(engine):
    """The engine's K: the memory that matters."""
    return weakref.ref(engine._core.runner.cache.keys)


def alive(references):
    gc.collect()
    return sum(reference() is not None for reference in references)


@pytest.fixture
def shown():
    """Dashboards, as a page of a notebook keeps them."""
    made = []
    yield made
    for dashboard in made:
        dashboard.close()


def scrubs(dashboard):
    """What a view does that is loaded anew: it asks for the run, and presses a button."""
    sent = []
    dashboard._stream._send = lambda message, buffers: sent.append((message, buffers))
    dashboard._stream.receive({"cmd": "hello", "view": "v"})
    before = sent[-1][0]["status"]["commands"]
    dashboard._stream.receive({"cmd": "resume"})
    (snapshot,) = [(head, data) for head, data in sent if head["type"] == "snapshot"]
    assert pv.Trace.from_bytes(b"".join(snapshot[1])).num_steps == dashboard._feed.trace.num_steps == 2
    assert sent[-1][0]["status"]["commands"] == before + 1
    assert "Dashboard of" in repr(dashboard)
    return sent[-1][0]["status"]


@pytest.mark.parametrize(
    ("how", "rounds"),
    [
        ("finished", MANY),
        ("failed", FEW),
        ("closed", FEW),
        ("closed while it ran", FEW),
        ("closed after a failure", FEW),
    ],
)
def test_many_runs_of_a_cell_keep_no_engine(tiny, shown, how, rounds):
    engines, pools, sessions = [], [], []
    for _ in range(rounds):
        engine = tiny.tiny_engine(**SMALL)
        session = begin(engine)
        shown.append(pv.Dashboard(session))
        if how == "closed while it ran":
            session.step(2)
        else:
            session.run()
        if "fail" in how:
            session.submit([1, 2])
            engine._core.runner.run = None
            with pytest.raises(pv.SessionError, match="not callable"):
                session.run()
        if "closed" in how:
            session.close()
        engines.append(weakref.ref(engine))
        pools.append(pool(engine))
        sessions.append(weakref.ref(session))
        del engine, session

    assert (alive(engines), alive(pools), alive(sessions)) == (0, 0, 0)
    status = scrubs(shown[0])
    assert (status["state"], "can still be looked at" in status["message"]) == (
        "failed" if how == "failed" else "stopped" if how == "closed after a failure" else "finished",
        True,
    )


def test_thirty_sessions_on_one_engine_leave_one(tiny, shown):
    engine = tiny.tiny_engine(**SMALL)
    sessions = []
    for _ in range(MANY):
        session = begin(engine)
        shown.append(pv.Dashboard(session))
        session.run()
        sessions.append(weakref.ref(session))

    assert alive(sessions) == 1
    assert len(engine._bus._subscribers) == 3  # the audit, the recording and the session that is open
    assert sessions[-1]() is session
    engine.audit()


def test_a_session_that_only_its_dashboard_has_can_still_be_run(tiny, shown):
    def cell():
        session = begin(tiny.tiny_engine(**SMALL))
        shown.append(pv.Dashboard(session))
        return weakref.ref(session)

    session = cell()
    assert alive([session]) == 1
    session().command("step")
    session()._loop.await_rest()
    assert (session().status.state, alive([session])) == ("paused", 1)

    shown[0]._stream.receive({"cmd": "resume"})
    session()._loop.await_end(60)

    assert alive([session]) == 0
    assert scrubs(shown[0])["state"] == "finished"


def test_who_has_the_session_goes_on_with_it_and_the_view_follows(tiny, shown):
    session = begin(tiny.tiny_engine(**SMALL))
    shown.append(pv.Dashboard(session))
    session.run()
    gc.collect()

    session.submit([4, 5], max_tokens=6, temperature=0, ignore_eos=True)
    session.step()

    gone = weakref.ref(session)
    assert shown[0]._feed.status == session.status
    del session
    assert alive([gone]) == 1  # it is under way again: Resume must work
    assert shown[0]._feed.status.state == "paused"
    gone().stop()
    assert alive([gone]) == 0


def test_a_closed_dashboard_keeps_nothing(tiny):
    session = begin(tiny.tiny_engine(**SMALL))
    dashboard = pv.Dashboard(session)
    gone = weakref.ref(session)
    dashboard.close()
    assert len(session._loop._listeners) == 0
    del session

    assert alive([gone]) == 0


def test_a_closed_session_knows_its_engine_while_somebody_has_it(tiny):
    engine = tiny.tiny_engine(**SMALL)
    session = begin(engine)
    session.run()
    session.close()

    assert session.engine is engine
    del engine
    gc.collect()
    with pytest.raises(pv.SessionError, match="nobody has its engine any more: its trace is still here"):
        _ = session.engine
    assert session.trace.num_steps == 2
    assert [output.finished for output in session.outputs.values()] == [True]
    session.close()
    assert repr(session) == "<Session finished at step 2>"
