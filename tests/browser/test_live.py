"""A person at the dashboard while a model generates, and looking back: real JupyterLab, Chromium and engine.

One file, as each file has a server and a kernel of its own, and a kernel must import everything. The test that
restarts its kernel comes last.
"""

import json
import random
import re
import xml.etree.ElementTree as ET

import pytest
from looking import seen_at, show_table

ENGINE = """
import time
import pagedviz as pv
from tiny import WORDS, tiny_engine
engine = tiny_engine(num_device_blocks=2048)
step = engine.step
def engine_step_of_a_larger_model():
    time.sleep(0.03)
    return step()
engine.step = engine_step_of_a_larger_model
session = pv.Session(engine)
session.submit("one two three four five six seven eight nine ten eleven twelve", n=3, max_tokens=4000)
session.submit("alpha beta gamma", max_tokens=8000)
dashboard = pv.Dashboard(session)
"""
SHOW = "dashboard"
START = "session.start()"


@pytest.fixture
def running(notebook_of):
    notebook = notebook_of([ENGINE, SHOW, START])
    notebook.run_all()
    notebook.await_state("running", step=10)
    return notebook


def engine_step(notebook):
    return int(notebook.python("engine.stats()['steps']"))


def test_pause_step_resume_and_stop_act_while_the_model_generates(running):
    running.press("pause")
    running.await_state("paused")
    stood = running.step()
    assert engine_step(running) == stood
    assert running.python("session.status.state") == "'paused'"

    for more in (1, 2):
        running.press("step")
        running.await_state("paused", step=stood + more)
        assert running.step() == engine_step(running) == stood + more

    running.press("resume")
    running.await_state("running", step=stood + 10)

    running.press("stop")
    running.await_state("stopped")
    assert (
        running.python("(engine.has_unfinished_requests(), engine.stats()['num_free_blocks'])") == "(False, 2048)"
    )
    assert running.python("engine.audit()") == "None"
    assert int(running.python("session.status.commands")) >= 5  # on a slow machine a view may have sent one again


def test_pause_stops_the_frames(running):
    running.press("pause")
    running.await_state("paused")
    running.await_drawn()
    seen = running.dashboards().first.get_attribute("data-next-seq")
    picture = running.page.get_by_test_id("block-map").first.screenshot()

    # Its answer comes by the way that frames take, after them.
    assert running.python("session.recorder.next_seq") == seen
    running.await_drawn()

    assert running.dashboards().first.get_attribute("data-next-seq") == seen
    assert running.page.get_by_test_id("block-map").first.screenshot() == picture
    assert running.python("(session.status.state, session.recorder.next_seq)") == f"('paused', {seen})"


def test_a_reload_in_the_middle_of_a_run_brings_the_view_back(running):
    before = running.step()

    running.reload()
    running.await_state("running", step=before + 10)

    running.press("pause")
    running.await_state("paused")
    assert running.step() == engine_step(running)
    assert running.dashboards().first.get_attribute("data-next-seq") == running.python("session.recorder.next_seq")


def test_two_views_of_one_dashboard_and_two_dashboards_agree(notebook_of):
    notebook = notebook_of([ENGINE, SHOW, SHOW, "pv.Dashboard(session)", START])
    notebook.run_all()
    for index in range(3):
        notebook.await_state("running", step=10, index=index)

    notebook.press("pause", index=1)
    for index in range(3):
        notebook.await_state("paused", index=index)
    seen = {notebook.dashboards().nth(index).get_attribute("data-next-seq") for index in range(3)}
    assert seen == {notebook.python("session.recorder.next_seq")}

    notebook.press("step", index=2)
    step = engine_step(notebook)
    for index in range(3):
        notebook.await_state("paused", step=step, index=index)


def test_submitting_more_while_it_runs_shows_up(running):
    running.press("pause")
    running.await_state("paused")
    name = running.python("session.submit('one more', max_tokens=3)")
    running.press("resume")
    running.page.wait_for_function("() => document.querySelector('[data-testid=events]').textContent.length > 0")
    assert name == "'r2'"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_dashboard_follows_the_theme(notebook_of, theme):
    notebook = notebook_of([ENGINE, SHOW, START], theme=theme)
    notebook.run_all()
    notebook.await_state("running", step=10)
    notebook.press("pause")
    notebook.await_state("paused")

    def brightness():
        colour = notebook.dashboards().first.evaluate(
            """(root) => { let e = root; let c;
                do { c = getComputedStyle(e).backgroundColor; e = e.parentElement; }
                while (e && (c === "rgba(0, 0, 0, 0)" || c === "transparent")); return c; }"""
        )
        return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3

    def canvas():
        return notebook.page.get_by_test_id("block-map").first.screenshot()

    assert (brightness() > 128) == (theme == "light")
    before = canvas()
    notebook.use_theme({"light": "dark", "dark": "light"}[theme])
    notebook.await_drawn()
    assert (brightness() > 128) == (theme == "dark")
    assert canvas() != before


def test_a_text_that_looks_like_html_stays_text(notebook_of):
    hostile = """
bad = '<img src=x onerror=window.pwned=1>'
words = tuple(f"{bad}{number}<script>window.pwned=2</script>&lt;b&gt;" for number in range(96))
engine = tiny_engine(words, num_device_blocks=64)
session = pv.Session(engine)
session.submit(bad + " " + bad, max_tokens=40, n=2, request_id=bad)
dashboard = pv.Dashboard(session)
"""
    notebook = notebook_of([ENGINE + hostile, SHOW, START])
    notebook.run_all()
    notebook.await_state("finished", step=40)

    assert "<img src=x onerror=window.pwned=1>" in notebook.page.get_by_test_id("tokens").first.inner_text()
    for name in ("tokens", "events", "block-map", "block-tables"):
        notebook.page.get_by_test_id(name).first.hover()
    # Whatever an image of theirs would have run has run when one that was asked for later has failed.
    notebook.page.evaluate(
        "() => new Promise((done) => { const i = new Image(); i.onerror = done; i.src = 'x'; }).then(() => 0)"
    )
    assert notebook.page.evaluate("() => window.pwned") is None
    assert notebook.page.evaluate("() => document.querySelectorAll('[data-next-seq] img').length") == 0


def test_an_engine_failure_is_shown_and_resume_goes_on(running):
    running.python("globals().update(step=lambda: 1 / 0, good=step)")
    running.await_state("failed")
    assert "division by zero" in running.dashboards().first.inner_text()

    running.python("globals().update(step=good)")
    before = running.step()
    running.python("session.resume()")
    running.await_state("running", step=before + 5)


def test_a_saved_trace_is_shown_by_the_same_dashboard(notebook_of):
    saved = ENGINE + "session.step(30)\nsession.stop()\ntrace = pv.Trace.from_bytes(session.trace.to_bytes())"
    notebook = notebook_of([saved, "pv.Dashboard(trace)"])
    notebook.run_all()
    notebook.await_state("finished", step=30)

    assert notebook.step() == int(notebook.python("trace.last_step"))


BUSY = """
from pathlib import Path
while not Path("go-on").exists():
    time.sleep(0.05)
"""


def test_pause_acts_while_another_cell_is_busy(notebook_of):
    notebook = notebook_of([ENGINE, SHOW, START, BUSY])
    notebook.run_all()
    notebook.await_state("running", step=10)

    notebook.press("pause")
    notebook.await_state("paused")

    assert "[*]:" in notebook.page.locator(".jp-InputPrompt").all_inner_texts()
    notebook.path.with_name("go-on").touch()


def test_the_buttons_act_while_a_cell_waits_for_the_end(notebook_of):
    notebook = notebook_of([ENGINE, SHOW, START, "await session.wait(); print('it is over')"])
    notebook.run_all()
    notebook.await_state("running", step=10)

    notebook.press("pause")
    notebook.await_state("paused")
    notebook.press("stop")
    notebook.await_state("stopped")

    notebook.page.get_by_text("it is over", exact=True).wait_for()


KEPT = """(title) => {
    const cells = jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells;
    const kept = cells.flatMap((cell) => cell.outputs).filter(({ data }) => data?.["image/svg+xml"]);
    return kept.some(({ data }) => [data["text/plain"]].flat().join("").includes(title));
}"""


def test_a_saved_notebook_keeps_the_picture_of_the_last_view(running):
    def kept(step):
        running.page.wait_for_function(KEPT, arg=f"step {step:,}: requests: ")
        running.command("docmanager:save")
        outputs = [output for cell in json.loads(running.path.read_bytes())["cells"] for output in cell["outputs"]]
        (picture,) = [output["data"] for output in outputs if "image/svg+xml" in output.get("data", {})]
        assert f"step {step:,}: requests: " in "".join(picture["text/plain"])
        assert ET.fromstring("".join(picture["image/svg+xml"])).tag.endswith("svg")

    running.press("pause")
    running.await_state("paused")
    kept(running.step())
    assert running.page.locator(".jp-RenderedSVG").is_hidden(), "beside the live view it is not wanted"

    running.page.get_by_test_id("scrubber").first.fill("7")
    kept(7)

    running.page.get_by_test_id("live").first.click()
    running.press("stop")
    running.await_state("stopped")
    used = int(running.python("pv.trace.last_step_in_use(session.trace)"))
    kept(used)

    assert running.step() >= used
    assert running.dashboards().count() == 1


# -- time travel: looking back while the engine runs, two views, a single panel, a kernel that goes

STEPPED = """
import pagedviz as pv
from hosted import told
from tiny import WORDS, tiny_engine
engine = tiny_engine(num_device_blocks=40, num_host_blocks=24, preemption="swap")
session = pv.Session(engine)
for prompt in ("one two three four five six seven eight nine ten eleven twelve", "alpha beta gamma", "one two"):
    session.submit(prompt, n=2, max_tokens=60)
session.step(30)
dashboard = pv.Dashboard(session)
"""


@pytest.fixture
def stepped(notebook_of):
    notebook = notebook_of([STEPPED, "dashboard"])
    notebook.run_all()
    notebook.await_state("paused", step=30)
    return notebook


def check_step(notebook, step, index=0):
    root = notebook.dashboards().nth(index)
    assert seen_at(root, step) == json.loads(notebook.python(f"told(session, {step})").strip("'"))
    return root


def test_the_page_holds_what_python_says_at_any_step(stepped):
    show_table(stepped.dashboards().first)
    dice = random.Random(4)
    for step in [0, *(dice.randrange(30) for _ in range(20)), 30]:
        check_step(stepped, step)


def test_looking_back_does_not_stop_the_engine_and_live_comes_back(stepped):
    show_table(stepped.dashboards().first)
    check_step(stepped, 12)
    stepped.python("bool(session.step(5))")
    assert check_step(stepped, 12).get_attribute("data-at") == "12"
    assert stepped.python("session.status.step") == "35"

    stepped.page.get_by_test_id("live").first.click()
    stepped.await_state("paused", step=35)


def test_two_views_look_at_steps_of_their_own(notebook_of):
    notebook = notebook_of([STEPPED, "dashboard", "pv.Dashboard(session)"])
    notebook.run_all()
    notebook.await_state("paused", step=30)
    notebook.page.locator(".pagedviz").nth(1).wait_for()
    for index in (0, 1):
        show_table(notebook.dashboards().nth(index))
    assert check_step(notebook, 7, 0).get_attribute("data-at") == "7"
    assert check_step(notebook, 19, 1).get_attribute("data-at") == "19"
    assert notebook.page.locator(".pagedviz").first.get_attribute("data-at") == "7"


def test_a_panel_can_stand_alone(notebook_of):
    notebook = notebook_of([STEPPED, "pv.BlockMap(session)"])
    notebook.run_all()
    notebook.await_state("paused", step=30)
    root = notebook.page.locator(".pagedviz")
    assert root.locator(".pv-panel").count() == 1
    assert root.get_by_test_id("block-map").is_visible()


def test_when_the_kernel_restarts_the_view_says_so_and_can_still_be_scrubbed(stepped):
    stepped.restart_kernel()
    status = stepped.page.get_by_test_id("status").first
    status.get_by_text("the kernel has gone").wait_for()

    assert stepped.page.get_by_test_id("pause").first.is_hidden()
    stepped.page.get_by_test_id("scrubber").first.fill("11")
    stepped.page.locator(".pagedviz[data-at='11']").wait_for()
    assert stepped.page.get_by_test_id("block-map").first.is_visible()
