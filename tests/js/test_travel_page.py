"""Time travel on a page in Chromium: every control and key, and breakpoints."""

from __future__ import annotations

import os
import random

import pytest

from pagedviz.events import KINDS
from pagedviz.trace import Trace

from . import streams as plain
from .test_page import FRAMES, View, browser, pytestmark  # noqa: F401 - the fixture and the marks

RECORDED = "harness.status = () => ({state: 'finished', step: 0, message: '', live: false, commands: 0})"
LIVE = """
harness.breaks = [];
harness.more = {breaks: harness.breaks, predicting: false, upcoming: null, score: [0, 0]};
const status = harness.status;
harness.status = () => ({...status(), ...harness.more});
harness.batch(0);
"""


@pytest.fixture(scope="module")
def trace(streams) -> Trace:
    return Trace.from_bytes(plain.eventful_trace(streams))


@pytest.fixture
def view(browser, trace):  # noqa: F811
    view = View(browser, trace.to_bytes(), width=1280)
    view.page.evaluate(f"() => {{ {RECORDED} }}")
    view.do("harness.all()")
    yield view
    assert view.errors == []
    view.page.close()


@pytest.fixture
def live(browser, trace):  # noqa: F811
    view = View(browser, trace.to_bytes(), width=1280)
    view.page.evaluate(f"() => {{ {LIVE} }}")
    view.do("harness.batch(30)")
    yield view
    assert view.errors == []
    view.page.close()


def press(view: View, *keys: str) -> int:
    for key in keys:
        view.page.keyboard.press(key)
    view.page.evaluate(FRAMES)
    return int(view.root("step"))


def click(view: View, name: str) -> int:
    view.part(name).click()
    view.page.evaluate(FRAMES)
    return int(view.root("step"))


def steps_with(trace: Trace, kind: str) -> list[int]:
    return sorted({b.step for b in trace.batches for event in b.events if type(event).__name__ == kind})


def test_the_buttons_move_through_the_run(view, trace):
    last = trace.last_step
    assert (view.root("at"), int(view.root("step"))) == ("live", last)
    assert click(view, "back") == last - 1
    assert click(view, "back") == last - 2
    assert click(view, "forward") == last - 1
    assert view.root("at") == str(last - 1)
    assert click(view, "first") == trace.first_step
    assert click(view, "back") == trace.first_step
    assert click(view, "last") == last
    assert view.root("at") == "live"
    view.part("scrubber").fill("9")
    view.page.evaluate(FRAMES)
    assert view.root("step") == "9"
    assert view.part("where").inner_text() == f"step 9 of {last}"
    assert click(view, "live") == last


def test_the_keys_move_through_the_run(view, trace):
    last = trace.last_step
    view.page.locator(".pagedviz").focus()
    assert press(view, "ArrowLeft", "ArrowLeft") == last - 2
    assert press(view, "ArrowRight") == last - 1
    assert press(view, "Home") == trace.first_step
    view.part("scrubber").focus()
    assert press(view, "ArrowRight", "ArrowRight") == trace.first_step + 2
    assert press(view, "End") == last
    for number, mode in enumerate(["owner", "state", "refcount", "fill", "age", "idle"], start=1):
        press(view, str(number))
        assert view.part("colour-mode").input_value() == mode
    press(view, "?")
    assert view.part("help").is_visible()
    press(view, "Escape")
    assert view.part("help").is_hidden()


@pytest.mark.parametrize("kind", ["BlockEvicted", "BlockCopied", "RequestPreempted", "PrefixHit"])
def test_one_can_jump_by_kind_of_event(view, trace, kind):
    steps = [step for step in steps_with(trace, kind) if step < trace.last_step]
    view.part("jump-kind").select_option(kind)
    view.page.locator(".pagedviz").focus()
    press(view, "Home")
    seen = [press(view, "Shift+ArrowRight") for _ in steps]
    assert seen == [step for step in steps if step > trace.first_step]
    assert click(view, "jump-back") == steps[-2]
    press(view, "Home")
    press(view, "Shift+ArrowLeft")
    assert view.part("where").inner_text().startswith("no ")


def test_it_plays_to_the_end_and_can_be_stopped(view, trace):
    click(view, "first")
    view.part("speed").select_option("100")
    view.part("play").click()
    view.page.wait_for_selector(".pagedviz[data-at='live']")
    assert view.part("play").inner_text() == "Play"
    click(view, "first")
    view.part("speed").select_option("1")
    view.page.locator(".pagedviz").focus()
    press(view, "Space")
    assert view.part("play").inner_text() == "Halt"
    press(view, "Space")
    assert view.part("play").inner_text() == "Play"
    assert int(view.root("step")) < trace.last_step


LOOKS = 20 if os.environ.get("PAGEDVIZ_NIGHTLY") else 6
"""At how many steps between the first and the last the page is read."""


def table_rows(view: View, kind: str) -> list[list[str]]:
    if view.part("table").is_hidden():
        view.page.click("[data-panel=table]")
    view.part("table-kind").select_option(kind)
    view.page.evaluate(FRAMES)
    return view.page.eval_on_selector_all(
        "table.pv-table tbody tr", "rows => rows.map((row) => [...row.children].map((cell) => cell.textContent))"
    )


def test_the_page_holds_the_state_of_any_step(view, trace):
    between = range(trace.first_step + 1, trace.last_step)
    for step in [trace.last_step, *random.Random(1).sample(between, LOOKS), trace.first_step]:
        view.part("scrubber").fill(str(step))
        view.page.evaluate(FRAMES)
        state = trace.state_at(step)
        assert int(view.root("next-seq")) == state.seq
        blocks = {(tier, str(id_)) for tier, held in state.blocks.items() for id_ in held}
        assert {(row[0], row[1]) for row in table_rows(view, "blocks")} == blocks
        sequences = table_rows(view, "sequences")
        assert [(int(row[3]), int(row[4])) for row in sequences] == [
            (len(s.tokens), s.computed) for s in state.sequences.values()
        ]
        names = [row[0] for row in table_rows(view, "requests")]
        assert names == list(state.requests)


def test_a_step_is_explained_and_an_event_leads_to_its_step(view, trace):
    (step, *_) = steps_with(trace, "BlockEvicted")
    view.part("scrubber").fill(str(step))
    view.page.evaluate(FRAMES)
    text = view.part("explain").inner_text()
    policy = next(e.policy for b in trace.batches if b.step == step for e in b.events if hasattr(e, "policy"))
    assert f"was evicted by {policy}" in text
    assert "What was given up" in text
    view.part("live").click()
    view.part("event-filter").fill("BlockEvicted")
    view.page.evaluate(FRAMES)
    rows = view.page.locator(".pv-event")
    assert rows.count() == sum(hasattr(e, "policy") for e in trace.events)
    rows.first.click()
    view.page.evaluate(FRAMES)
    assert int(view.root("step")) == step


def test_a_click_on_the_timeline_goes_there_and_a_drag_shows_a_part(view):
    box = view.page.locator("canvas.pv-chart").bounding_box()
    y = box["y"] + box["height"] / 2
    view.page.mouse.click(box["x"] + box["width"] / 2, y)
    view.page.evaluate(FRAMES)
    middle = int(view.root("step"))
    assert view.root("at") == str(middle)
    view.page.mouse.move(box["x"] + box["width"] * 0.3, y)
    view.page.mouse.down()
    view.page.mouse.move(box["x"] + box["width"] * 0.6, y)
    view.page.mouse.up()
    assert view.part("timeline-all").is_visible()
    assert view.root("at") == str(middle)
    view.part("timeline-all").click()
    assert view.part("timeline-all").is_hidden()


USED = """(x) => {
  const canvas = document.querySelector('canvas.pv-chart'), box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width, end = 52 + (box.height - 52 - 30 - 14) * 0.65;
  const { data } = canvas.getContext('2d').getImageData(Math.round(x * ratio), 0, 1, Math.round(end * ratio));
  let found = 0;
  for (let at = 0; at < data.length; at += 4) found += [76, 120, 168].every((value, i) => data[at + i] === value);
  return found / ratio;
}"""
"""How much of a column of the timeline's device band has the colour of used slots."""


def test_the_last_step_is_drawn_and_the_mouse_finds_each_step_where_it_is_drawn(live, trace):
    used = [trace.state_at(step).memory("device").used for step in range(trace.last_step + 1)]
    full = max(used)
    last = next(s for s in range(32, len(used)) if min(used[s - 1 : s + 1]) > full / 4 and used[s] != used[s - 1])
    while int(live.root("step")) < last:
        live.do("harness.batch(1)")
    chart = live.page.locator("canvas.pv-chart")
    box = chart.bounding_box()
    left, width = 44, (box["width"] - 44 - 10) / (last + 1)
    heights = [live.page.evaluate(USED, left + (step + 0.5) * width) for step in (last - 1, last)]
    assert heights[1] / heights[0] == pytest.approx(used[last] / used[last - 1], rel=0.02)
    for step in (0, 7, last - 1, last):
        for place in (0.1, 0.9):
            live.page.mouse.move(box["x"] + left + (step + place) * width, box["y"] + box["height"] / 2)
            assert chart.get_attribute("aria-label").startswith(f"Step {step}\n"), (step, place)


def test_a_part_is_shown_with_the_keyboard_and_stays_in_other_words(view):
    view.page.locator("canvas.pv-chart").focus()
    press(view, "Home", "ArrowRight", "ArrowRight", "b")
    assert view.part("timeline-all").is_hidden()
    press(view, *["ArrowRight"] * 20, "b")
    assert view.part("timeline-all").is_visible()
    view.part("os-words").click()
    view.page.evaluate(FRAMES)
    assert view.part("timeline-all").is_visible()
    view.page.locator("canvas.pv-chart").focus()
    press(view, "Escape")
    assert view.part("timeline-all").is_hidden()


def test_the_python_for_what_is_selected(view, trace):
    view.page.click("[data-panel=table]")
    view.part("scrubber").fill("12")
    view.page.click(".pv-token[data-sequence][data-position='2'] >> nth=0")
    sequence = view.page.get_attribute(".pv-token[data-position='2'] >> nth=0", "data-sequence")
    view.part("copy-python").click()
    view.page.wait_for_function("document.querySelector('.pv-table [role=status]').textContent")
    code = view.part("table").locator("[role=status]").inner_text()  # this page may not use the clipboard
    assert code == f"trace.state_at(12).sequences[{sequence}].tokens[2]"
    assert isinstance(eval(code, {"trace": trace}), int)


def test_what_is_not_there_at_the_step_is_no_python(view, trace):
    view.page.click("[data-panel=table]")
    view.page.locator(".pv-lane").first.click()
    click(view, "first")
    view.part("copy-python").click()
    view.page.wait_for_function("document.querySelector('.pv-table [role=status]').textContent")
    assert view.part("table").locator("[role=status]").inner_text() == f"trace.state_at({trace.first_step})"


def test_what_was_copied_is_in_the_clipboard(browser, trace, tmp_path):  # noqa: F811
    path = tmp_path / "run.html"
    trace.to_html(path)
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        page.locator("[data-panel=table]").click()
        status = page.locator(".pv-table [role=status]")
        for name, begin in (("copy-python", "trace.state_at("), ("copy-table", "sequence\trequest\t")):
            page.get_by_test_id(name).click()
            status.get_by_text("copied", exact=True).wait_for()
            assert page.evaluate("navigator.clipboard.readText()").startswith(begin)
            status.evaluate("(element) => element.replaceChildren()")


def test_breakpoints_are_asked_of_python(live):
    live.part("break").select_option(label="copy-on-write")
    assert live.page.evaluate("harness.sent.at(-1)") in (
        {"cmd": "break", "kind": "BlockCopied"},
        {"cmd": "break", "before": "BlockCopied"},
    )
    live.page.evaluate("harness.breaks.push({id: 3, text: 'BlockCopied', enabled: true})")
    live.do("harness.batch(0)")
    live.page.get_by_role("button", name="Remove the breakpoint: BlockCopied").click()
    assert live.page.evaluate("harness.sent.at(-1)") == {"cmd": "unbreak", "id": 3}
    live.page.evaluate("harness.breaks[0].enabled = false")
    live.do("harness.batch(0)")
    button = live.page.get_by_role("button", name="Remove the breakpoint: BlockCopied")
    assert button.inner_text().startswith("BlockCopied (off)")


def test_a_breakpoint_is_set_on_what_is_selected(live):
    enabled = "[...document.querySelectorAll('[data-testid=break] option:enabled')].map((option) => option.value)"
    assert {"block", "sequence"}.isdisjoint(live.page.evaluate(enabled))
    chip = live.page.locator(".pv-chip").first
    chip.click()
    tier, block, sequence = (chip.get_attribute(f"data-{name}") for name in ("tier", "block", "sequence"))
    live.part("break").select_option(value="block")
    assert live.page.evaluate("harness.sent.at(-1)") == {"cmd": "break", "tier": tier, "block": int(block)}
    live.part("break").select_option(value="sequence")
    assert live.page.evaluate("harness.sent.at(-1)") == {"cmd": "break", "sequence": int(sequence)}
    live.page.locator(".pv-lane").first.click()
    live.page.evaluate(FRAMES)
    assert {"block", "sequence"}.isdisjoint(live.page.evaluate(enabled))


@pytest.mark.parametrize("control", ["break", "jump-kind"])
def test_every_kind_but_the_engines_own_can_be_chosen(live, control):
    values = f"[...document.querySelectorAll('[data-testid={control}] option')].map((option) => option.value)"
    offered = " ".join(live.page.evaluate(values))
    engines = {"StepStarted", "StepFinished", "KernelLaunched"}
    assert {kind for kind in KINDS if kind in offered} == set(KINDS) - engines
