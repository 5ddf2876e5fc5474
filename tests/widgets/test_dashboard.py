"""The widget without a browser: what it sends and takes, and what stays in a saved notebook."""

import logging
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

import pagedviz as pv
from pagedviz import widgets
from pagedviz.browser.bundle import bundle, stylesheet
from pagedviz.trace import Trace
from pagedviz.widgets import panels
from pagedviz.widgets.dashboard import PANELS


@pytest.fixture
def dashboard(run):
    dashboard = pv.Dashboard(run)
    dashboard.sent = []
    dashboard.send = lambda content, buffers=None: dashboard.sent.append((content, buffers))
    dashboard._stream._send = dashboard.send
    yield dashboard
    dashboard.close()


def test_a_view_says_hello_and_gets_the_run(dashboard, run):
    run.advance()
    dashboard._handle_custom_msg({"cmd": "hello", "view": "v"}, [])

    content, buffers = dashboard.sent[-1]
    assert (content["type"], content["view"]) == ("snapshot", "v")
    assert Trace.from_bytes(buffers[0]).num_steps == 1


def test_buttons_reach_the_run(dashboard, run):
    dashboard._handle_custom_msg({"cmd": "pause"}, [])

    assert run.taken == ["pause"]


def test_an_error_in_a_handler_is_shown(dashboard, run, caplog):
    def fail(command):
        raise OSError("no")

    run.command = fail
    with caplog.at_level(logging.ERROR):
        dashboard._handle_custom_msg({"cmd": "pause"}, [])

    assert dashboard.sent[-1][0]["status"]["message"] == "OSError: no"
    assert caplog.records


def test_the_synced_state_is_the_script_and_the_style_sheet(dashboard):
    state = dashboard.get_state()
    large = {key for key, value in state.items() if len(str(value)) > 100}

    assert large == {"_esm", "_css"}
    assert state["_esm"] == bundle()
    assert state["_css"] == stylesheet()


def test_a_saved_notebook_keeps_a_picture_and_a_sentence(dashboard, run):
    run.advance()
    data, _ = dashboard._repr_mimebundle_()

    assert ET.fromstring(data["image/svg+xml"]).tag.endswith("svg")
    assert "step 1" in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert repr(dashboard) == "<Dashboard of tiny, ready>"


def test_a_trace_is_shown_by_the_same_widget(run):
    run.advance()
    saved = pv.Dashboard(run.trace)
    live = pv.Dashboard(run)

    assert saved.get_state().keys() == live.get_state().keys()
    assert repr(saved) == "<Dashboard of tiny, finished>"
    saved.close()
    live.close()


def test_a_closed_dashboard_listens_no_more(run):
    dashboard = pv.Dashboard(run)
    assert run.listeners

    dashboard.close()
    dashboard.close()

    assert run.listeners == []


@pytest.mark.parametrize("options", [{"theme": "dark"}, {"_esm": ""}, {"layot": {}}])
def test_an_unknown_option_is_refused(run, options):
    with pytest.raises(pv.ConfigError, match="it has layout"):
        pv.Dashboard(run, **options)
    assert run.listeners == []


@pytest.mark.parametrize("source", [None, 3, "run.pvtrace"])
def test_what_is_no_run_is_refused(source):
    with pytest.raises(pv.ConfigError, match="a Session or a Trace"):
        pv.Dashboard(source)


def test_the_widget_needs_no_torch():
    script = "import sys, pagedviz.widgets; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], timeout=100, check=False).returncode == 0


@pytest.mark.parametrize("widget", [getattr(panels, name) for name in widgets.__all__ if name != "Dashboard"])
def test_a_panel_can_be_shown_singly(run, widget):
    single = getattr(pv, widget.__name__)(run)

    assert single._panels == list(widget._shows)
    assert set(widget._shows) < set(PANELS)
    single.close()


def test_chosen_panels_and_unknown_ones(run):
    some = pv.Dashboard(run, panels=["events", "block_map"])
    assert some._panels == ["events", "block_map"]
    some.close()

    with pytest.raises(pv.ConfigError, match="no panel 'heatmap'; it has block_map, "):
        pv.Dashboard(run, panels=["heatmap"])
