"""Time travel in JupyterLab: looking back while the engine runs, two views, a single panel, a kernel that goes."""

import json
import random
import re

import pytest

ENGINE = """
import json, msgspec
import pagedviz as pv
from tiny import WORDS, tiny_engine
engine = tiny_engine(num_device_blocks=40, num_host_blocks=24, preemption="swap")
session = pv.Session(engine)
for prompt in ("one two three four five six seven eight nine ten eleven twelve", "alpha beta gamma", "one two"):
    session.submit(prompt, n=2, max_tokens=60)
session.step(30)
dashboard = pv.Dashboard(session)
def told(step):
    state = session.trace.state_at(step)
    held = [f"{tier}:{id}" for tier, blocks in state.blocks.items() for id in blocks]
    return json.dumps([state.step, state.seq, sorted(held), {s.id: s.computed for s in state.sequences.values()}])
"""
ON_PAGE = """async ([step, index]) => {
    const root = document.querySelectorAll(".pagedviz")[index];
    const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const set = async (name, value, kind) => {
        const control = root.querySelector(`[data-testid=${name}]`);
        control.value = value;
        control.dispatchEvent(new Event(kind));
        await drawn();
    };
    const rows = async (kind) => {
        await set("table-kind", kind, "change");
        // A view is drawn while it can be seen.
        const title = () => root.querySelector("table.pv-table caption").textContent;
        while (!title().startsWith(`${kind} after`) || !title().endsWith(` ${root.dataset.step}`)) await drawn();
        const found = [...root.querySelectorAll("table.pv-table tbody tr")];
        return found.map((row) => [...row.children].map((cell) => cell.textContent));
    };
    root.querySelector("table.pv-table").scrollIntoView();
    await set("scrubber", step, "input");
    const blocks = (await rows("blocks")).map(([tier, id]) => `${tier}:${id}`).sort();
    const computed = (await rows("sequences")).map((row) => Number(row[4]));
    const { at, step: seen, nextSeq } = root.dataset;
    return { at, step: Number(seen), seq: Number(nextSeq), blocks, computed };
}"""


@pytest.fixture
def stepped(notebook_of):
    notebook = notebook_of([ENGINE, "dashboard"])
    notebook.run_all()
    notebook.await_state("paused", step=30)
    return notebook


def show_table(notebook, index=0):
    switch = notebook.page.locator(".pagedviz").nth(index).locator("[data-panel=table]")
    if switch.get_attribute("aria-pressed") == "false":
        switch.click()


def check_step(notebook, step, index=0):
    seen = notebook.page.evaluate(ON_PAGE, [step, index])
    told = json.loads(notebook.python(f"told({step})").strip("'"))
    assert [seen["step"], seen["seq"], seen["blocks"]] == told[:3]
    assert seen["computed"] == list(told[3].values())
    return seen


def test_the_page_holds_what_python_says_at_any_step(stepped):
    show_table(stepped)
    dice = random.Random(4)
    for step in [0, *(dice.randrange(30) for _ in range(20)), 30]:
        check_step(stepped, step)


def test_looking_back_does_not_stop_the_engine_and_live_comes_back(stepped):
    show_table(stepped)
    check_step(stepped, 12)
    stepped.python("bool(session.step(5))")
    seen = check_step(stepped, 12)
    assert seen["at"] == "12"
    assert stepped.python("session.status.step") == "35"

    stepped.page.get_by_test_id("live").first.click()
    stepped.await_state("paused", step=35)


def test_two_views_look_at_steps_of_their_own(notebook_of):
    notebook = notebook_of([ENGINE, "dashboard", "pv.Dashboard(session)"])
    notebook.run_all()
    notebook.await_state("paused", step=30)
    notebook.page.locator(".pagedviz").nth(1).wait_for()
    for index in (0, 1):
        show_table(notebook, index)
    assert check_step(notebook, 7, 0)["at"] == "7"
    assert check_step(notebook, 19, 1)["at"] == "19"
    assert notebook.page.locator(".pagedviz").first.get_attribute("data-at") == "7"


def test_a_panel_can_stand_alone(notebook_of):
    notebook = notebook_of([ENGINE, "pv.BlockMap(session)"])
    notebook.run_all()
    notebook.await_state("paused", step=30)
    root = notebook.page.locator(".pagedviz")
    assert root.locator(".pv-panel").count() == 1
    assert root.get_by_test_id("block-map").is_visible()


def test_when_the_kernel_restarts_the_view_says_so_and_can_still_be_scrubbed(stepped):
    stepped.page.evaluate("void window.jupyterapp.commands.execute('notebook:restart-kernel')")
    stepped.page.get_by_role("button", name=re.compile("Restart")).click()
    status = stepped.page.get_by_test_id("status").first
    status.get_by_text("the kernel has gone").wait_for()

    assert stepped.page.get_by_test_id("pause").first.is_hidden()
    stepped.page.get_by_test_id("scrubber").first.fill("11")
    stepped.page.locator(".pagedviz[data-at='11']").wait_for()
    assert stepped.page.get_by_test_id("block-map").first.is_visible()
