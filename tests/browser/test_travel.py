"""Time travel in JupyterLab: looking back while the engine runs, two views, a single panel, a kernel that goes."""

import json
import random

import pytest
from looking import seen_at, show_table

ENGINE = """
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
    notebook = notebook_of([ENGINE, "dashboard"])
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
    notebook = notebook_of([ENGINE, "dashboard", "pv.Dashboard(session)"])
    notebook.run_all()
    notebook.await_state("paused", step=30)
    notebook.page.locator(".pagedviz").nth(1).wait_for()
    for index in (0, 1):
        show_table(notebook.dashboards().nth(index))
    assert check_step(notebook, 7, 0).get_attribute("data-at") == "7"
    assert check_step(notebook, 19, 1).get_attribute("data-at") == "19"
    assert notebook.page.locator(".pagedviz").first.get_attribute("data-at") == "7"


def test_a_panel_can_stand_alone(notebook_of):
    notebook = notebook_of([ENGINE, "pv.BlockMap(session)"])
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
