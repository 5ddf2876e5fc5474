"""What is in sight is drawn first, the rest in frames after it; and nothing is left as it was."""

from __future__ import annotations

import pytest

from . import streams as plain
from .test_page import FRAMES, View, browser, forked_trace, pytestmark  # noqa: F401 - the fixture and the marks
from .test_travel_page import RECORDED

TOLD = """() => [document.querySelectorAll(".pv-event .pv-step"), document.querySelectorAll(".pv-explain .pv-note")]
  .map((all) => [...all].at(-1).textContent)"""
JUMP = """async ([step, look]) => {
  const range = document.querySelector(".pv-range");
  range.value = step;
  range.dispatchEvent(new Event("input"));
  await new Promise(requestAnimationFrame);
  const { step: shown, drawing } = document.querySelector(".pagedviz").dataset;
  return [shown, drawing === "", eval(look)()];
}"""
"""Jump to a step, and look at the page in the very frame in which it is shown."""
NEWS = """() => {
  const count = () => {
    if (window.isEnough) return;
    harness.batch(1);
    requestAnimationFrame(count);
  };
  count();
}"""


@pytest.fixture
def view(browser, request):  # noqa: F811
    view = View(browser, plain.eventful_trace(request.getfixturevalue("streams")), width=1280)
    view.page.set_viewport_size({"width": 1280, "height": 600})
    view.page.evaluate(f"() => {{ {RECORDED} }}")
    view.do("harness.all()")
    yield view
    assert view.errors == []
    view.page.close()


def test_a_jump_shows_at_once_where_it_is_seen_and_then_everywhere(view):
    before = view.page.evaluate(TOLD)
    step, is_drawing, told = view.page.evaluate(JUMP, [20, TOLD])
    assert (step, is_drawing) == ("20", True)
    assert told == before, "these are below the window's edge"
    view.page.evaluate(FRAMES)
    assert view.page.evaluate(TOLD) == ["20", "step 20"]
    # Those that are in sight come first.
    view.part("explain").scroll_into_view_if_needed()
    view.page.evaluate(FRAMES)
    assert view.page.evaluate(JUMP, [30, TOLD])[2][1] == "step 30"


@pytest.mark.parametrize(
    ("panel", "row", "part"),
    [("block-tables", "row", "chip"), ("tokens", "strip", "token")],
    ids=["tables", "tokens"],
)
def test_rows_that_are_scrolled_out_of_sight_follow(browser, panel, row, part):  # noqa: F811
    view = View(browser, forked_trace(12, num_blocks=128, samples=24), width=1280)
    filled = (
        f"() => [...document.querySelectorAll('.pv-{row}')]"
        f".map((row) => row.querySelectorAll('.pv-{part}').length > 0)"
    )
    view.page.evaluate(f"document.querySelector('.pv-{panel} .pv-body').style.maxHeight = '60px', 0")
    view.page.evaluate(f"() => {{ {RECORDED} }}")
    view.do("harness.all()")
    view.part(panel).scroll_into_view_if_needed()
    view.page.evaluate(JUMP, [0, filled])
    view.page.evaluate(FRAMES)
    assert view.page.evaluate(filled) == []
    assert set(view.page.evaluate(JUMP, [12, filled])[2]) == {True, False}
    view.page.evaluate(FRAMES)
    assert len(view.page.evaluate(filled)) > 20
    assert all(view.page.evaluate(filled))
    view.page.close()


def test_with_news_in_every_frame_what_is_out_of_sight_is_drawn_too(browser, streams):  # noqa: F811
    view = View(browser, plain.eventful_trace(streams), width=1280)
    view.page.set_viewport_size({"width": 1280, "height": 600})
    view.do("harness.batch(2)")
    before = view.page.evaluate(TOLD)
    view.page.evaluate(NEWS)
    view.page.wait_for_function(f"(before) => ({TOLD})().every((told, i) => told !== before[i])", arg=before)
    view.page.evaluate("window.isEnough = true")
    view.page.close()


def test_a_map_fits_a_page_that_got_narrower(view):
    map_width = "document.querySelector('canvas.pv-map').getBoundingClientRect().width"
    before = view.page.evaluate(map_width)
    view.page.set_viewport_size({"width": 640, "height": 600})
    view.page.wait_for_function(f"({map_width}) !== {before}")
    assert view.page.evaluate("document.querySelector('.pv-block-map .pv-body').scrollWidth") <= 640
