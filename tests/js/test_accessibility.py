"""axe-core, keyboard, magnification and the looks, on a page in Chromium."""

from __future__ import annotations

from importlib import resources

import pytest

from pagedviz.events.codec import encode_header, encode_keyframe
from pagedviz.trace.state import State

from . import streams
from .test_page import CHROMIUM, FRAMES, View, browser  # noqa: F401 - a fixture

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

RUN_AXE = """async (selector) => {
  if (!document.querySelector(selector)) throw new Error(`there is no ${selector}`);
  const alike = {};
  for (const element of document.querySelectorAll('.pv-event, .pv-token, .pv-table td')) {
    const { color, backgroundColor } = getComputedStyle(element);
    const place = element.closest('[data-testid]').dataset.testid;
    const look = [place, element.className, element.dataset.kind, color, backgroundColor].join();
    (alike[look] ??= []).push(element);
  }
  const again = Object.values(alike).flatMap((elements) => elements.slice(2, -2));
  const { violations } = await axe.run({ include: [selector], exclude: again }, { resultTypes: ['violations'] });
  const tell = ({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ''}`;
  return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 4).map(tell).join(' | ')}`);
}"""

CUT_OFF = """() => {
  const { clientWidth } = document.documentElement;
  const seen = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.getClientRects().length);
  const isOut = ({ left, right }) => left < 0 || right > clientWidth + 1;
  const wide = seen('.pagedviz :is(button, select, input, summary), .pv-panel, .pv-counter, .pv-caption')
    .filter((e) => isOut(e.getBoundingClientRect()));
  const boxes = seen('.pagedviz, .pv-header, .pv-scrubber, .pv-panel-head, .pv-legend, .pv-body')
    .filter((e) => !e.querySelector('table') && e.scrollWidth > e.clientWidth + 1);
  const over = document.documentElement.scrollWidth - clientWidth;
  return [over, ...[...wide, ...boxes].map((e) => e.outerHTML.slice(0, 120))];
}"""


def empty_trace() -> bytes:
    return encode_header(streams.engine_info(16, 4)) + encode_keyframe(State(4, {"device": 16}))


def findings(view, part: str = ".pagedviz") -> list[str]:
    """What axe finds in a part of the page; of events, tokens and cells that look alike, the first and last two."""
    if not view.page.evaluate("'axe' in window"):
        view.page.evaluate(resources.files(axe).joinpath("axe.min.js").read_text(encoding="utf-8"))
    return view.page.evaluate(RUN_AXE, part)


def show_all(view) -> None:
    off = ".pv-switches [aria-pressed=false], [data-family][aria-pressed=false]"
    view.do(f"document.querySelectorAll('{off}').forEach((button) => button.click())")


@pytest.fixture
def busy(browser, request):  # noqa: F811
    width = getattr(request, "param", 1280)
    view = View(browser, streams.eventful_trace(request.getfixturevalue("streams")), width=width)
    view.do("harness.batch(45)")
    show_all(view)
    yield view
    assert view.errors == []
    view.page.close()


@pytest.mark.parametrize(
    ("look", "os_words"),
    [("light", False), ("dark", True), ("projector", False), ("projector", True)],
    ids=["light-ours", "dark-os", "projector-ours", "projector-os"],
)
def test_axe_finds_nothing_serious(busy, look, os_words):
    busy.part("look").select_option(look)
    if os_words:
        busy.part("os-words").click()
        busy.page.click("summary")
    busy.page.evaluate(FRAMES)
    assert busy.root("theme") == ("dark" if look == "dark" else "light")
    assert findings(busy) == []
    busy.page.hover(".pv-chip")
    assert busy.page.locator(".pv-tooltip").is_visible()
    assert findings(busy, ".pv-tooltip, .pv-lit") == []
    busy.page.focus("canvas.pv-map")
    busy.page.keyboard.press("?")
    assert findings(busy, ".pv-tooltip, .pv-help, canvas.pv-map") == []


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious_in_an_empty_run(browser, dark):  # noqa: F811
    view = View(browser, empty_trace(), dark=dark)
    show_all(view)
    assert findings(view) == []
    view.page.close()


@pytest.mark.parametrize("look", ["light", "dark", "projector"])
def test_axe_finds_nothing_serious_while_evicted_content_fades(busy, look):
    busy.do("harness.all()")
    busy.part("look").select_option(look)
    busy.part("event-filter").fill("BlockEvicted")
    busy.page.evaluate(FRAMES)
    step = int(busy.page.locator(".pv-event .pv-step").last.inner_text())
    strengths = []
    for later in range(4):
        busy.part("scrubber").fill(str(step + later))
        busy.page.evaluate(FRAMES)
        fading = busy.page.locator(".pv-node[data-place=evicted]").all()
        shown = [node.evaluate("(e) => e.style.getPropertyValue('--pv-left')") for node in fading]
        strengths.append(max(float(share.rstrip("%")) for share in shown))
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[0] > strengths[-1]
    assert findings(busy, "[data-testid=prefix-tree], [data-testid=explain]") == []


def test_axe_finds_nothing_serious_while_one_predicts_and_looks_back(busy):
    busy.do(
        "harness.status = () => ({ state: 'finished', step: harness.step, message: '', live: false, commands: 0 }),"
        "harness.batch(0)"
    )
    busy.part("predict").click()
    busy.part("scrubber").focus()
    busy.page.keyboard.press("ArrowLeft")
    busy.page.click(".pv-lane")
    assert findings(busy) == []


def test_tab_reaches_every_group_once_and_the_focus_is_seen(busy):
    busy.do("document.querySelector('.pagedviz').focus()")
    seen = []
    for _ in range(120):
        busy.page.keyboard.press("Tab")
        found = busy.page.evaluate(
            "(() => { const e = document.activeElement; const s = getComputedStyle(e);"
            "const { testid, panel, family } = e.dataset;"
            "return e.closest('.pagedviz') && [testid ?? panel ?? family ?? e.className,"
            " s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; })()"
        )
        if not found:
            break
        seen.append(found)
    else:
        pytest.fail("Tab never leaves the dashboard")
    assert [name for name, is_seen in seen if not is_seen] == []
    names = [name for name, _ in seen]
    for item in ("pv-chip", "pv-lane", "pv-node", "pv-token", "pv-event"):
        assert sum(item in name.split() for name in names) == 1, item
    for name in (
        "pause",
        "os-words",
        "look",
        "help-button",
        "scrubber",
        "colour-mode",
        "event-filter",
        "table-kind",
    ):
        assert names.count(name) == 1, name
    assert sum("pv-map" in name.split() for name in names) == 2


@pytest.mark.parametrize("busy", [320], indirect=True)
@pytest.mark.parametrize("look", ["light", "projector"])
def test_nothing_is_cut_off_at_400_percent(busy, look):
    busy.part("look").select_option(look)
    for _ in range(2):
        busy.page.evaluate(FRAMES)
        assert busy.page.evaluate(CUT_OFF) == [0]
        busy.part("os-words").click()
    busy.page.keyboard.press("?")
    help_box = busy.part("help").bounding_box()
    assert help_box["x"] >= 0
    assert help_box["x"] + help_box["width"] <= 320


WRITTEN = """
window.written = {};
const write = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  window.written[text] = parseFloat(this.font);
  return write.call(this, text, ...place);
};
"""


def test_the_projector_has_large_type_also_on_canvases(busy):
    def sizes(look):
        busy.part("look").select_option(look)
        busy.page.evaluate(FRAMES)
        return busy.page.evaluate(
            "[...document.querySelectorAll('.pv-chip, .pv-sentence, .pv-legend, button')]"
            ".map((e) => parseFloat(getComputedStyle(e).fontSize))"
        ), busy.page.evaluate("window.written.step")

    busy.page.evaluate(f"() => {{ {WRITTEN} }}")
    (small, canvas) = sizes("light")
    (large, large_canvas) = sizes("projector")
    assert all(b >= 1.3 * a for a, b in zip(small, large, strict=True))
    assert large_canvas >= 1.3 * canvas
    busy.part("os-words").click()
    assert busy.root("look") == "projector"


def test_a_system_with_colours_of_its_own_shows_what_is_pressed_and_tooltips(browser, request):  # noqa: F811
    view = View(browser, streams.eventful_trace(request.getfixturevalue("streams")))
    view.page.emulate_media(forced_colors="active")
    view.do("harness.batch(30)")
    ground = "(e) => getComputedStyle(e).backgroundColor"
    pressed, other = (view.page.eval_on_selector(f"[data-family={name}]", ground) for name in ("block", "engine"))
    assert pressed != other
    assert view.page.eval_on_selector("[data-testid=pause] .pv-icon", ground) != other
    view.page.hover(".pv-chip")
    colour = "(e) => getComputedStyle(e).color"
    text = view.page.eval_on_selector(".pv-tooltip:not([hidden])", colour)
    # The browser paints its own ground behind text: text of the ground's colour would not be seen.
    assert text == view.page.eval_on_selector(".pv-caption", colour)
    assert view.page.eval_on_selector(".pv-tooltip", ground) != text
    assert findings(view) == []
    view.page.close()
