"""What a saved notebook keeps: the picture of the step that was last looked at. IPython's display is a list."""

import threading

import IPython.display
import pytest

import pagedviz as pv
from pagedviz.events import BlockFreed
from pagedviz.widgets import saved_view
from pagedviz.widgets.saved_view import kept

PICTURE = "image/svg+xml"


class Output:
    """What `display` put into a cell, and a handle of it; `changed` is set whenever it is replaced."""

    def __init__(self, data):
        self.data = data
        self.changed = threading.Event()

    def update(self, data, raw):
        assert raw
        self.data = data
        self.changed.set()

    @property
    def step(self):
        return int(self.data["text/plain"].split("step ")[1].split(":")[0])


@pytest.fixture
def shown(monkeypatch):
    outputs = []

    def display(data, metadata=None, *, raw, display_id=None):
        assert raw
        outputs.append(Output(data))
        return outputs[-1] if display_id else None

    monkeypatch.setattr(IPython.display, "display", display)
    monkeypatch.setattr(saved_view, "STILL_FOR_S", 0.001)
    return outputs


@pytest.fixture
def dashboard(run):
    dashboard = pv.Dashboard(run)
    yield dashboard
    dashboard.close()


def test_the_live_view_and_the_picture_are_outputs_of_their_own(run, dashboard, shown):
    run.advance()
    dashboard._ipython_display_()

    live, picture = shown
    assert "application/vnd.jupyter.widget-view+json" in live.data
    assert PICTURE not in live.data
    assert picture.data == kept(run.trace)
    assert picture.data.keys() == {PICTURE, "text/plain"}


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_when_the_run_has_ended_the_picture_is_of_its_end_at_once(run, dashboard, shown, state):
    dashboard._ipython_display_()
    dashboard._ipython_display_()  # in two cells
    pictures = [output for output in shown if PICTURE in output.data]

    run.state = state
    run.advance(urgent=True)

    assert [picture.step for picture in pictures] == [1, 1]


def test_while_the_run_goes_on_nothing_is_drawn(run, dashboard, shown, monkeypatch):
    dashboard._ipython_display_()
    monkeypatch.setattr(saved_view, "kept", lambda *args: pytest.fail("drawn"))
    run.state = "running"
    for urgent in (True, False):
        run.advance(urgent=urgent)

    assert dashboard._saved._timer is None


def test_a_run_that_stands_is_drawn_in_a_moment(run, dashboard, shown):
    dashboard._ipython_display_()
    run.state = "paused"
    run.advance(urgent=True)

    assert shown[1].changed.wait(30)
    assert shown[1].step == 1


def test_the_picture_is_of_the_step_that_is_looked_at(run, dashboard, shown):
    for _ in range(2):
        run.advance()
    dashboard._ipython_display_()

    for asked, drawn in ((1, 1), (99, 2), (-1, 0), (None, 2)):
        shown[1].changed.clear()
        dashboard._handle_custom_msg({"cmd": "look", "step": asked}, [])
        assert shown[1].changed.wait(30)
        assert shown[1].step == drawn
        assert f">step {drawn}</text>" in shown[1].data[PICTURE]


def test_a_dashboard_that_was_never_shown_draws_nothing(run, dashboard, monkeypatch):
    monkeypatch.setattr(saved_view, "kept", lambda *args: pytest.fail("drawn"))
    run.state = "finished"
    run.advance(urgent=True)


def test_a_run_that_contradicts_itself_is_shown_and_its_text_says_so(run, shown):
    run.advance()
    run.bus.publish(2, [BlockFreed("device", 0, 5)])
    dashboard = pv.Dashboard(run.trace)
    dashboard._ipython_display_()

    live, picture = shown
    assert "application/vnd.jupyter.widget-view+json" in live.data
    assert picture.data.keys() == {"text/plain"}
    assert "in step 2 contradicts what came before" in picture.data["text/plain"]
    dashboard.close()


def test_a_picture_that_cannot_be_replaced_is_logged_and_hurts_nobody(run, dashboard, shown, caplog):
    dashboard._ipython_display_()
    shown[1].update = lambda *args, **options: 1 / 0

    run.state = "finished"
    run.advance(urgent=True)

    assert "could not be replaced" in caplog.text
