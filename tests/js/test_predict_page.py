"""Predict mode on a page in Chromium: what is asked, what counts as a guess, and the answer; recorded and live."""

# ruff: noqa: F811 - fixtures are arguments
from __future__ import annotations

import pytest

from pagedviz.trace import Trace

from .test_page import FRAMES, View, browser, pytestmark  # noqa: F401 - the fixture and the marks
from .test_travel_page import LIVE, RECORDED, click, live, press, steps_with, trace, view  # noqa: F401 - fixtures too


def test_predicting_a_recorded_run_stops_before_each_decision(view, trace):
    kinds = ("BlockEvicted", "BlockCopied", "RequestPreempted", "SwappedOut", "SwappedIn")
    decisions = sorted({step for kind in kinds for step in steps_with(trace, kind)})
    view.part("predict").click()
    click(view, "first")
    view.part("speed").select_option("100")
    for step in decisions[:4]:
        view.part("play").click()
        view.page.wait_for_selector(f"[data-testid=question]:has-text('Step {step} will cause')")
        assert int(view.root("step")) == step - 1
        assert click(view, "forward") == step - 1, "it waits for the answer"
        click(view, "reveal")
        assert int(view.root("step")) == step
        assert view.part("result").inner_text()


def test_a_right_guess_of_an_eviction_counts_and_belady_is_named(view, trace):
    step = next(s for s in steps_with(trace, "BlockEvicted") if s not in steps_with(trace, "RequestPreempted"))
    chosen = next(e for b in trace.batches if b.step == step for e in b.events if hasattr(e, "policy"))
    view.part("scrubber").fill(str(step - 1))
    view.part("predict").click()
    click(view, "forward")
    assert f"Step {step} will cause an eviction" in view.part("question").inner_text()
    view.page.evaluate(FRAMES)
    canvas = view.page.locator(f".pv-tier[data-tier={chosen.tier}] canvas.pv-map")
    canvas.focus()
    view.page.keyboard.press("Home")
    for _ in range(chosen.block):
        view.page.keyboard.press("ArrowRight")
    view.page.keyboard.press("Enter")
    click(view, "reveal")
    assert view.part("result").inner_text().startswith("Right.")
    assert view.part("score").inner_text() == "1 of 1 right"
    if chosen.tier == "device":
        assert "Belady" in view.part("result").inner_text()


def shared_by_requests(trace: Trace, step: int) -> set[int]:
    """The device blocks that several requests have after a step."""
    state = trace.state_at(step)
    owners = {
        number: {state.sequences[sequence].request for sequence, _ in block.holders}
        for number, block in state.blocks["device"].items()
    }
    return {number for number, names in owners.items() if len(names) > 1}


def ask_live(view: View, *kinds: str) -> None:
    """Python stops the run before the next step, and asks."""
    view.page.evaluate(
        "(kinds) => { harness.state = 'paused'; harness.more.predicting = true;"
        "harness.more.upcoming = {step: harness.step + 1, kinds}; }",
        list(kinds),
    )
    view.do("harness.batch(0)")


def press_block(view: View, block: int) -> None:
    view.page.locator("canvas.pv-map").first.focus()
    press(view, "Home", *["ArrowRight"] * block, "Enter")


@pytest.fixture(scope="module")
def sharing(streams) -> Trace:
    """A run in which somebody is preempted while requests share blocks."""
    return streams.trace_of(streams.random_run(2, steps=60))


def shared_at_a_preemption(trace: Trace) -> tuple[int, int]:
    """The step of one, and a block that several requests have before it."""
    step = next(s for s in steps_with(trace, "RequestPreempted") if shared_by_requests(trace, s - 1))
    return step, min(shared_by_requests(trace, step - 1))


def test_a_block_of_several_requests_does_not_say_who_in_a_recorded_run(browser, sharing):
    view = View(browser, sharing.to_bytes(), width=1280)
    view.page.evaluate(f"() => {{ {RECORDED} }}")
    view.do("harness.all()")
    step, block = shared_at_a_preemption(sharing)
    view.part("scrubber").fill(str(step - 1))
    view.part("predict").click()
    click(view, "forward")
    assert "Who has to go?" in view.part("question").inner_text()
    press_block(view, block)
    said = view.page.locator(".pv-answer").inner_text()
    assert said.startswith(f"Block {block} belongs to ")
    assert said.endswith(": click a block that only one request has.")
    click(view, "reveal")
    assert not view.part("result").inner_text().startswith(("Right", "Not"))
    assert view.part("score").inner_text() == ""
    assert view.errors == []
    view.page.close()


@pytest.mark.parametrize("kind", ["RequestPreempted", "SwappedOut"])
def test_a_block_of_several_requests_is_not_sent_as_who(browser, sharing, kind):
    view = View(browser, sharing.to_bytes(), width=1280)
    view.page.evaluate(f"() => {{ {LIVE} }}")
    step, block = shared_at_a_preemption(sharing)
    view.do(f"harness.batch({sum(batch.step < step for batch in sharing.batches)})")
    assert int(view.root("step")) == step - 1
    ask_live(view, kind)
    press_block(view, block)
    assert "click a block that only one request has" in view.page.locator(".pv-answer").inner_text()
    view.part("reveal").click()
    view.page.evaluate(FRAMES)
    assert "guess" not in [message["cmd"] for message in view.page.evaluate("harness.sent")]
    assert view.errors == []
    view.page.close()


def test_predicting_a_live_run_is_asked_of_python(live):
    live.part("predict").click()
    assert live.page.evaluate("harness.sent.at(-1)") == {"cmd": "predict", "on": True}
    live.page.evaluate(
        "harness.state = 'paused', harness.more.predicting = true,"
        "harness.more.upcoming = {step: harness.step + 1, kinds: ['BlockEvicted']}"
    )
    live.do("harness.batch(0)")
    assert "will cause an eviction" in live.part("question").inner_text()
    live.page.locator("canvas.pv-map").first.focus()
    live.page.keyboard.press("Home")
    live.page.keyboard.press("Enter")
    live.page.evaluate(
        "harness.more.score = [0, 0], harness.last = harness.handle,"
        "harness.handle = (message) => {"
        "  if (message.cmd === 'guess') Object.assign(harness.more, {upcoming: null, score: [0, 1]});"
        "  harness.last(message); }, 0"
    )
    live.part("reveal").click()
    assert live.page.evaluate("harness.sent.slice(-2)") == [
        {"cmd": "guess", "tier": "device", "block": 0},
        {"cmd": "step"},
    ]
    live.page.evaluate(FRAMES)
    assert live.part("score").inner_text() == "0 of 1 right"
    assert live.part("result").inner_text().startswith("Not what you expected."), "as Python says"


def test_a_new_question_of_a_live_run_begins_without_guess_and_without_old_answer(live):
    answer, result = live.page.locator(".pv-answer"), live.part("result")
    ask_live(live, "BlockEvicted")
    press_block(live, 0)
    assert answer.inner_text() == "You say: block 0"
    asked = int(live.root("step")) + 1
    live.page.evaluate(
        "harness.more.upcoming = {step: harness.step + 2, kinds: ['BlockCopied']}, harness.more.score = [0, 1]"
    )
    live.part("reveal").click()
    live.page.evaluate(FRAMES)
    assert f"Step {asked + 1} will cause a copy-on-write" in live.part("question").inner_text()
    assert answer.inner_text() == "", "nothing was clicked at this question"
    assert result.inner_text().startswith(f"Step {asked}: Not what"), (
        "the answer came together with the next question"
    )
    live.do("harness.batch(3)")
    ask_live(live, "BlockCopied")
    assert result.inner_text() == ""
    live.part("reveal").click()
    live.page.evaluate(FRAMES)
    assert [message["cmd"] for message in live.page.evaluate("harness.sent")].count("guess") == 1


def test_a_live_run_that_is_over_asks_nothing_more(live):
    ask_live(live, "BlockEvicted")
    live.page.evaluate("harness.more.upcoming = null")
    live.do("harness.batch(0)")
    assert live.part("question").inner_text() == "Run on: it stops before the next decision."
    live.do("harness.all()")
    assert live.part("question").inner_text() == "The run is over: there is nothing left to predict."
