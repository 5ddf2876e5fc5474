"""The block map zoomed and moved, in Chromium with mouse and keyboard, and the arithmetic of it in node."""

from __future__ import annotations

import pytest

from pagedviz.events.codec import encode_batch, encode_header, encode_keyframe
from pagedviz.trace.state import State

from . import streams
from .test_node import run_node
from .test_page import CHROMIUM, FRAMES, View, browser  # noqa: F401 - a fixture

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

MAP = "[data-tier=device] canvas.pv-map"


def trace_of(num_blocks: int) -> bytes:
    trace = encode_header(streams.engine_info(num_blocks, 4)) + encode_keyframe(State(4, {"device": num_blocks}))
    return trace + b"".join(
        encode_batch(batch) for batch in streams.batches(2, 30, num_blocks=min(num_blocks, 4096))
    )


class Map(View):
    """The device tier's map."""

    def __init__(self, browser, num_blocks: int, **options):  # noqa: F811
        super().__init__(browser, trace_of(num_blocks), **options)
        self.do("harness.all()")
        self.canvas = self.page.locator(MAP)
        self.canvas.scroll_into_view_if_needed()

    @property
    def zoom(self) -> float:
        self.page.evaluate(FRAMES)
        return float((self.canvas.get_attribute("data-zoom") or "1x")[:-1])

    @property
    def legend(self) -> str:
        self.page.evaluate(FRAMES)
        return self.page.inner_text(".pv-block-map .pv-legend")

    def at(self, x: float, y: float) -> tuple[float, float]:
        box = self.canvas.bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def point(self, x: float, y: float) -> int | None:
        """The block at a place of the map, from 0 to 1."""
        self.page.mouse.move(*self.at(x, y))
        self.page.evaluate(FRAMES)
        block = self.part("block-map").get_attribute("data-block")
        return None if block is None else int(block)

    def wheel(self, delta: int, times: int = 1, *, ctrl: bool = True) -> None:
        if ctrl:
            self.page.keyboard.down("Control")
        for _ in range(times):
            self.page.mouse.wheel(0, delta)
            self.page.evaluate(FRAMES)
        if ctrl:
            self.page.keyboard.up("Control")


@pytest.fixture
def view(browser):  # noqa: F811
    view = Map(browser, 4096)
    yield view
    assert view.errors == []
    view.page.close()


def test_where_cells_are():
    run_node("layout.test.mjs")


def test_the_wheel_zooms_about_the_mouse_and_back(view):
    block = view.point(0.6, 0.4)
    view.wheel(-100, 3)
    assert view.zoom > 4
    near = view.point(0.6, 0.4)
    columns = 104
    assert abs(near - block) in {0, 1, columns - 1, columns, columns + 1}
    assert view.page.locator(".pv-tooltip").inner_text().startswith(f"Block {near} ")
    view.wheel(100, 6)
    assert view.zoom == 1
    assert view.point(0.6, 0.4) == block


def test_a_plain_wheel_scrolls_the_page_unless_the_map_has_focus(view):
    view.do("document.body.style.height = '4000px'")
    view.point(0.5, 0.5)
    view.wheel(50, ctrl=False)
    view.page.wait_for_function("scrollY > 0")
    assert view.zoom == 1
    view.canvas.focus()
    view.point(0.5, 0.5)
    before = view.page.evaluate("scrollY")
    view.wheel(-100, 3, ctrl=False)
    assert view.zoom > 1
    assert view.page.evaluate("scrollY") == before


def test_a_drag_moves_the_map_and_a_click_still_pins(view):
    view.point(0.5, 0.5)
    view.wheel(-100, 3)
    block = view.point(0.5, 0.5)
    x, y = view.at(0.5, 0.5)
    view.page.mouse.down()
    view.page.mouse.move(x + 30, y + 20)
    view.page.mouse.move(x + 60, y + 40)
    view.page.mouse.up()
    assert view.part("block-map").get_attribute("data-block") is None
    box = view.canvas.bounding_box()
    assert view.point(0.5 + 60 / box["width"], 0.5 + 40 / box["height"]) == block
    view.page.mouse.down()
    view.page.mouse.up()
    view.page.mouse.move(2, 2)
    assert view.lit()[0] == str(block)


def test_keys_zoom_and_the_focused_block_stays_in_view(view):
    view.canvas.focus()
    view.page.keyboard.press("End")
    for _ in range(3):
        view.page.keyboard.press("+")
    assert view.zoom > 4
    assert view.page.locator("[data-tier=device] .pv-speech").inner_text().startswith("Zoom ")
    assert view.lit()[0] == "4095"
    view.page.keyboard.press("Home")
    assert view.point(0.01, 0.01) == 0
    for _ in range(40):
        view.page.keyboard.press("ArrowRight")
    tooltip = view.page.locator(".pv-tooltip").bounding_box()
    assert view.lit()[0] == "40"
    assert abs(tooltip["x"] - view.at(1, 0)[0]) < 420
    view.page.keyboard.press("-")
    view.page.keyboard.press("0")
    assert view.zoom == 1
    assert view.root("at") == "live"


def test_buttons_have_names_and_zoom(view):
    button = view.page.get_by_role("button", name="Zoom in")
    button.click()
    button.click()
    assert view.zoom > 2
    view.page.get_by_role("button", name="Zoom out").click()
    assert 1 < view.zoom < 4
    view.page.get_by_role("button", name="Fit all").click()
    assert view.zoom == 1
    assert view.page.locator(".pv-zoom").is_visible()


@pytest.mark.parametrize("num_blocks", [64, 4096, 131_072, 1_000_000])
def test_pools_of_all_sizes_fit_and_show_marks_when_they_are_near(browser, num_blocks):  # noqa: F811
    view = Map(browser, num_blocks)
    box = view.canvas.bounding_box()
    assert box["height"] <= 300
    assert ("mixes" in view.legend, "zoom in" in view.legend) == (num_blocks > 500_000, num_blocks > 10_000)
    first = view.point(0.02, 0.02)  # not at the very edge: a wheel's place is rounded down
    assert first is not None
    assert first <= num_blocks // 20
    view.wheel(-100, 14)
    view.page.wait_for_function("!document.querySelector('.pv-legend').textContent.includes('zoom in')")
    view.canvas.focus()
    view.page.keyboard.press("Home")
    assert view.point(0.02, 0.02) == 0
    assert view.canvas.bounding_box() == box
    view.do("harness.batch(0)")
    assert view.errors == []
    view.page.close()


def test_arrows_between_the_tiers_stay_inside_the_maps(browser, request):  # noqa: F811
    trace = streams.eventful_trace(request.getfixturevalue("streams"))
    view = View(browser, trace, width=1280)
    view.do(f"harness.batch({streams.batches_until_swapped(trace)})")
    arrows = int(view.part("block-map").get_attribute("data-arrows"))
    assert arrows > 0
    for _ in range(3):
        view.page.get_by_role("button", name="Zoom in, host").click()
    assert view.page.get_attribute("[data-tier=host] canvas", "data-zoom") is not None
    assert view.page.get_attribute(MAP, "data-zoom") is None
    assert int(view.part("block-map").get_attribute("data-arrows")) == arrows
    assert view.errors == []
    view.page.close()
