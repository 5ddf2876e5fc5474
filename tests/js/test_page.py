"""The dashboard on a page in Chromium, with a port of the test's own: what a person sees, points at and presses."""

from __future__ import annotations

import pytest
from chromium import PATH as CHROMIUM
from chromium import launch

from pagedviz.events import Batch
from pagedviz.events.codec import encode_batch, encode_header, encode_keyframe
from pagedviz.trace.state import State

from . import streams
from .page import page as make_page

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

FRAMES = """new Promise((done) => {
  const look = () => (document.querySelector("[data-drawing]") ? requestAnimationFrame(look) : done());
  requestAnimationFrame(() => requestAnimationFrame(look));
})"""
"""Done when everything has been drawn, what is out of sight too."""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        chromium = launch(p)
        yield chromium
        chromium.close()


def forked_trace(steps: int = 14, num_blocks: int = 32, samples: int = 3) -> bytes:
    """A request with several samples that share their prompt, and one with a single sample."""
    engine = streams.ToyEngine(1, num_blocks, 8)
    engine.add(n=samples, prompt=19, max_tokens=60)
    engine.add(prompt=20, max_tokens=40)
    trace = encode_header(streams.engine_info(num_blocks, 8)) + encode_keyframe(State(8, {"device": num_blocks}))
    seq = 0
    for step in range(1, steps + 1):
        events = tuple(engine.step())
        trace += encode_batch(Batch(seq, step, step * 20_000, events))
        seq += len(events)
    return trace


LAST_EVENT = "document.querySelector('.pv-event:last-child').textContent"


class View:
    """A page with the dashboard, and shorthands for what tests do with it."""

    def __init__(self, browser, trace: bytes, width: int = 1000, **options):
        self.page = browser.new_page(viewport={"width": width, "height": 1100})
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(error))  # noqa: PLW0108 - it marks what it gets
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.set_content(make_page(trace, **options))
        self.page.wait_for_selector(".pagedviz[data-state]")

    def do(self, script: str):
        result = self.page.evaluate(f"void ({script})")
        self.page.evaluate(FRAMES)
        return result

    def part(self, name: str):
        return self.page.locator(f"[data-testid={name}]")

    def root(self, name: str):
        return self.page.get_attribute(".pagedviz", f"data-{name}")

    def status(self) -> str:
        return self.part("status").inner_text()

    def lit(self) -> tuple[str | None, list[str], list[str]]:
        """The block, the table entries and the tokens that are lit."""
        self.page.evaluate(FRAMES)
        block = self.part("block-map").get_attribute("data-block")
        chips = self.page.eval_on_selector_all(
            ".pv-chip.pv-lit",
            "all => all.map((c) => `${c.dataset.sequence}:${c.dataset.logical}>${c.dataset.block}`)",
        )
        tokens = self.page.eval_on_selector_all(
            ".pv-token.pv-lit", "all => all.map((t) => `${t.dataset.sequence}:${t.dataset.position}`)"
        )
        return block, chips, tokens

    def map_point(self, block: int) -> tuple[float, float]:
        box = self.page.locator("canvas.pv-map").bounding_box()
        pitch = box["width"] / 16
        return box["x"] + (block % 16 + 0.5) * pitch, box["y"] + (block // 16 + 0.5) * pitch


@pytest.fixture
def view(browser):
    view = View(browser, forked_trace())
    view.do("harness.batch(11)")
    yield view
    assert view.errors == []
    view.page.close()


def test_a_token_an_entry_and_a_block_light_each_other_and_all_holders(view):
    view.page.hover(".pv-token[data-sequence='1'][data-position='4']")
    block, chips, tokens = view.lit()
    assert {chip.split(">")[0] for chip in chips} == {"0:0", "1:0", "2:0"}
    assert {chip.split(">")[1] for chip in chips} == {block}
    assert tokens == [f"{sequence}:{position}" for sequence in range(3) for position in range(8)]
    view.page.hover(f".pv-chip[data-block='{block}'][data-sequence='2']")
    assert view.lit() == (block, chips, tokens)
    view.page.mouse.move(*view.map_point(int(block)))
    assert view.lit() == (block, chips, tokens)
    view.page.mouse.move(2, 2)
    assert view.lit() == (None, [], [])


def test_a_click_pins_and_a_second_click_lets_go(view):
    view.page.hover(".pv-token[data-sequence='3'][data-position='1']")
    wanted = view.lit()
    view.page.click(".pv-token[data-sequence='3'][data-position='1']")
    view.page.mouse.move(2, 2)
    assert view.lit() == wanted
    view.page.click(".pv-token[data-sequence='3'][data-position='1']")
    view.page.mouse.move(2, 2)
    assert view.lit() == (None, [], [])


def test_the_keyboard_reaches_every_block_entry_and_token(view):
    view.page.focus("canvas.pv-map")
    view.page.keyboard.press("End")
    assert view.page.locator(".pv-speech").inner_text() == "Block 31 (device): free"
    view.page.keyboard.press("Home")
    view.page.keyboard.press("ArrowDown")
    assert view.lit()[0] == "16"
    view.page.focus(".pv-chip[tabindex='0']")
    view.page.keyboard.press("ArrowDown")
    assert {chip.split(":")[0] for chip in view.lit()[1]} >= {"1"}
    assert view.page.locator(".pv-chip[tabindex='0']").count() == 1
    view.page.focus(".pv-token[tabindex='0']")
    view.page.keyboard.press("ArrowRight")
    assert view.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("A position 1:")


def test_pause_freezes_at_once_and_shows_the_paused_step_with_the_answer(view):
    view.do("harness.mute = true")
    view.part("pause").click()
    view.page.evaluate(FRAMES)
    assert view.status() == "pausing…"
    view.do("harness.batch(1)")
    assert view.root("step") == "11"
    view.page.wait_for_function(
        "document.querySelector('[data-testid=status]').textContent.startsWith('kernel busy')"
    )
    view.do("harness.mute = false, harness.commands = 1, harness.state = 'paused', harness.batch(0)")
    assert (view.root("step"), view.root("state"), view.status()) == ("12", "paused", "paused")
    assert view.part("pause").is_disabled()
    assert view.page.evaluate("document.activeElement.dataset.testid") == "step"
    view.page.keyboard.press("Enter")
    view.page.wait_for_selector(".pagedviz[data-step='13']")
    assert view.status() == "paused"
    view.part("resume").click()
    view.page.wait_for_selector(".pagedviz[data-state='running']")
    view.part("stop").click()
    view.page.wait_for_selector(".pagedviz[data-state='stopped']")
    assert view.page.evaluate("harness.sent.map(({ cmd }) => cmd)") == ["hello", "pause", "step", "resume", "stop"]


def test_a_gap_heals(view):
    view.do("harness.next += 1, harness.seq = 0, harness.batch(0)")
    view.do("harness.seq = 1e6, harness.batch(0)")
    assert view.root("step") == "12"
    assert view.page.evaluate("harness.sent.filter(({ cmd }) => cmd === 'hello').length") == 2


def test_text_of_a_model_stays_text(view):
    assert view.page.locator(".pagedviz img").count() == 0
    assert "<img src=x onerror=alert(1)>" in view.part("tokens").inner_text()
    assert view.page.locator(".pv-model").inner_text() == "toy <b>model</b>"


def test_every_sequence_and_block_of_the_state_is_on_the_page(view):
    text = view.part("counters").inner_text()
    assert "12 / 32" in text
    assert view.page.locator(".pv-strip").count() == 4
    assert view.page.locator(".pv-chip").count() == 16
    assert view.page.locator("[data-kind=BlockCopied]").count() == 2
    assert "A, B and C share it" in view.page.locator("[data-kind=BlockCopied]").first.inner_text()


def test_panels_can_be_hidden_and_shown(view):
    view.page.click("[data-panel=events]")
    assert not view.part("events").is_visible()
    view.do("harness.batch(1)")
    view.page.click("[data-panel=events]")
    view.page.evaluate(FRAMES)
    assert view.page.locator(".pv-event").last.inner_text().split()[0] == "12"


def test_the_filters_placeholder_is_read_in_every_look(view):
    view.page.add_style_tag(content="input::placeholder { color: rgb(1, 2, 3) }")
    colours = (
        "(() => { const e = document.querySelector('[data-testid=event-filter]');"
        "const note = document.querySelector('.pv-note');"
        "return [getComputedStyle(e, '::placeholder').color, getComputedStyle(note).color]; })()"
    )
    for look in ("projector", "dark", "auto"):
        view.part("look").select_option(look)
        view.page.evaluate(FRAMES)
        placeholder, soft = view.page.evaluate(colours)
        assert placeholder == soft, look


def test_the_count_of_events_says_how_many_are_shown_under_a_filter(view):
    note = view.page.locator(".pv-events .pv-note")
    whole = note.inner_text()
    view.part("event-filter").fill("copied")
    view.page.evaluate(FRAMES)
    assert note.inner_text() == f"{view.page.locator('.pv-event').count()} shown, {whole}"
    view.part("event-filter").fill("")
    view.page.evaluate(FRAMES)
    assert note.inner_text() == whole


def test_it_follows_the_pages_theme(view):
    before = view.page.evaluate("document.querySelector('canvas.pv-map').toDataURL()")
    assert view.root("theme") == "light"
    view.do(
        "document.body.style.setProperty('--jp-layout-color1', '#111'),"
        "document.body.style.setProperty('--jp-ui-font-color1', '#fff')"
    )
    view.page.wait_for_selector(".pagedviz[data-theme='dark']")
    assert view.page.evaluate("document.querySelector('canvas.pv-map').toDataURL()") != before


@pytest.mark.parametrize("dark", [False, True])
def test_without_a_host_the_browsers_colours_count(browser, dark):
    view = View(browser, forked_trace(), dark=dark, host=False)
    view.page.wait_for_selector(f".pagedviz[data-theme='{'dark' if dark else 'light'}']")
    view.page.close()


def test_only_the_header_is_drawn_while_nobody_can_see_it(view):
    view.do("document.getElementById('here').style.display = 'none'")
    view.page.evaluate(FRAMES)
    view.do("harness.batch(1)")
    assert view.root("step") == "12"
    assert "step 12" in view.page.evaluate("document.querySelector('.pv-header').textContent")
    assert view.page.evaluate(LAST_EVENT).startswith("11")
    view.do("document.getElementById('here').style.display = ''")
    view.page.wait_for_function(f"{LAST_EVENT}.startsWith('12')")


def test_nothing_overflows_a_narrow_cell(browser):
    for width in (480, 800, 1100, 1500):
        view = View(browser, forked_trace(), width=width)
        view.do("harness.batch(11)")
        wide = view.page.evaluate(
            "[...document.querySelectorAll('.pv-panel, .pv-header, .pv-counters, .pv-body')]"
            ".filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.className)"
        )
        assert wide == [], f"at {width} px"
        view.page.close()


@pytest.mark.parametrize("num_blocks", [8, 131_072])
def test_few_and_many_blocks_draw(browser, num_blocks):
    trace = encode_header(streams.engine_info(num_blocks, 4))
    trace += encode_keyframe(State(4, {"device": num_blocks}))
    for batch in streams.batches(2, 30, num_blocks=num_blocks):
        trace += encode_batch(batch)
    view = View(browser, trace)
    view.do("harness.all()")
    assert view.root("state") == "finished"
    assert view.page.evaluate("document.querySelector('canvas.pv-map').width") > 100
    assert view.errors == []
    view.page.close()


@pytest.fixture
def two_tiers(browser, request):
    """A run with a cache, a host tier, swapping and beams, until a request was just swapped out."""
    trace = streams.eventful_trace(request.getfixturevalue("streams"))
    view = View(browser, trace, width=1280)
    view.do(f"harness.batch({streams.batches_until_swapped(trace)})")
    yield view
    assert view.errors == []
    view.page.close()


def test_both_tiers_are_drawn_and_moves_between_them(two_tiers):
    view = two_tiers
    assert view.page.locator("canvas.pv-map").count() == 2
    assert int(view.part("block-map").get_attribute("data-arrows")) > 0
    assert "moved between tiers" in view.part("block-map").inner_text()
    view.page.focus("[data-tier=host] canvas")
    view.page.keyboard.press("Home")
    view.page.evaluate(FRAMES)
    assert view.part("block-map").get_attribute("data-blocks").split()[0] == "host:0"
    assert view.page.locator("[data-tier=host] .pv-speech").inner_text().startswith("Block 0 (host):")
    view.do("harness.all()")
    counters = view.part("counters").inner_text()
    assert "prefix hits" in counters
    assert "swapped out · in" in counters


def test_entries_in_the_host_tier_are_named_and_light_their_block(two_tiers):
    view = two_tiers
    chip = view.page.locator(".pv-chip[data-tier=host]").first
    assert chip.locator(".pv-physical").inner_text() == f"h{chip.get_attribute('data-block')}"
    chip.hover()
    view.page.evaluate(FRAMES)
    blocks = view.part("block-map").get_attribute("data-blocks")
    assert f"host:{chip.get_attribute('data-block')}" in blocks.split()


def test_a_request_has_a_lane_that_mouse_and_keyboard_reach(two_tiers):
    view = two_tiers
    lanes = view.page.locator(".pv-lane")
    assert lanes.count() > 1
    assert view.page.locator(".pv-lane[tabindex='0']").count() == 1
    held = view.page.locator(".pv-chip").first.get_attribute("data-sequence")
    view.page.focus(".pv-lane[tabindex='0']")
    view.page.keyboard.press("ArrowDown")
    assert view.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Request r")
    view.do("document.activeElement.blur()")
    for lane in lanes.all():
        lane.hover()
        if held in {chip.split(":")[0] for chip in view.lit()[1]}:
            break
    else:
        pytest.fail(f"no lane lights sequence {held}")
    letters = {piece for text in view.page.locator(".pv-track").all_inner_texts() for piece in text.split()}
    assert letters <= set("WPDSR")


def test_a_page_that_scrolls_under_a_resting_mouse_keeps_what_the_keyboard_shows(two_tiers):
    view = two_tiers
    page = view.page
    page.locator(".pv-lane").first.focus()
    page.keyboard.press("End")
    text = page.locator(".pv-tooltip").inner_text()
    box = page.locator(".pv-chip").first.bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] - 60)
    page.keyboard.press("Home")
    page.keyboard.press("End")
    # Chromium says it when a page's scrolling has put something else under the mouse.
    page.evaluate("addEventListener('pointerover', ({target}) => { window.under = target.className; }), 0")
    page.evaluate("scrollBy(0, 60), 0")
    page.wait_for_function("window.under !== undefined")
    assert page.evaluate("window.under").startswith("pv-chip")
    assert page.locator(".pv-tooltip").inner_text() == text


def test_an_eviction_says_why_with_mouse_and_keyboard(two_tiers):
    view = two_tiers
    view.do("harness.all()")
    for family in ("request", "token", "block", "tier"):
        view.page.click(f"[data-family={family}]")
    row = view.page.locator("[data-kind=BlockEvicted]").last
    row.click()
    assert row.locator(".pv-why").inner_text().startswith("policy: lru\nwhy: ")
    assert len(view.part("block-map").get_attribute("data-blocks").split()) == 1
    row.press("Enter")
    assert row.locator(".pv-why").count() == 0
    assert view.page.locator(".pv-event[tabindex='0']").count() == 1
    row.press("ArrowUp")
    assert view.page.evaluate("document.activeElement.className").startswith("pv-event")


def test_unmounting_leaves_nothing(view):
    view.do("harness.unmount()")
    assert view.page.locator(".pagedviz").count() == 0
    assert view.page.evaluate("harness.listeners.size") == 0
    view.do("harness.batch(1)")
