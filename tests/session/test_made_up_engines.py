"""A session on engines that are none of ours: what it needs of them, and what it says when they have no more."""

import subprocess
import sys
from pathlib import Path

import pytest
from made_up import Least, Most

import pagedviz as pv


def test_an_engine_that_only_steps_is_run_recorded_and_shown():
    with pv.Session(Least()) as session:
        session.step()
        assert (session.status.state, session.status.step) == ("paused", 1)
        view = pv.Dashboard(session)
        session.break_on("TokenAppended", sequence=0)
        session.step(5)
        assert "stopped: TokenAppended in step 2" in session.status.message
        session.clear_breakpoints()
        session.run()

    assert session.status.state == "finished"
    assert session.trace.num_steps == 3
    assert session.trace.state_at(2).block(0).holders == ((0, 0),)
    assert session.outputs["r0"].tokens == 3
    assert "made up" in repr(view)
    view.close()


def test_what_such_an_engine_cannot_do_is_told_and_the_run_goes_on():
    with pv.Session(Least()) as session:
        session.step()
        asked = [{"role": "user", "content": "a"}]
        for act in (lambda: session.submit("a"), lambda: session.chat(asked), lambda: session.abort("r0")):
            with pytest.raises(pv.SessionError, match="a Least takes no requests; it can only be watched"):
                act()
        with pytest.raises(pv.ConfigError, match="this engine foretells nothing"):
            session.break_on(break_before="BlockEvicted")
        with pytest.raises(pv.ConfigError, match="cannot tell what its next step will cause"):
            session.predict()
        session.predict(False)
        session.stop()
        assert (session.status.state, session.status.step) == ("stopped", 1)
        session.run()
        assert session.status.state == "finished"


def test_an_engine_that_can_do_more_is_asked_for_more():
    engine = Most()
    with pv.Session(engine) as session:
        assert session.submit("any prompt that it knows", temperature=0) == "r0"
        session.break_on(break_before="BlockEvicted")
        session.step(3)
        assert session.status.message == ("stopped before step 2, which will cause BlockEvicted (breakpoint 1)")
        session.step()
        session.stop()
        assert engine.asked == [("any prompt that it knows", None, {"temperature": 0})]
        assert engine.aborted == ["r0"]


def test_what_is_no_engine_is_refused_with_what_it_lacks():
    class Half:
        info = None

        def step(self):
            raise AssertionError("never asked")

    with pytest.raises(
        pv.ConfigError, match=r"Session\(engine=Half\): it has no snapshot, subscribe, has_unfinished"
    ):
        pv.Session(Half())
    with pytest.raises(pv.ConfigError, match=r"Session\(engine=NoneType\): it has no info"):
        pv.Session(None)


def test_none_of_it_loads_torch():
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import pagedviz as pv\nfrom made_up import Least, Most\n"
        "with pv.Session(Least()) as session:\n    session.run()\n"
        "with pv.Session(Most()) as session:\n    session.submit([1])\n    session.run()\n"
        "assert session.trace.num_steps == 3\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], timeout=100, check=False).returncode == 0
