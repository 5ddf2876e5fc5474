"""The switch to operating-system words, in Chromium: what we say changes, what was written or named stays."""

from __future__ import annotations

import re

import pytest

from . import streams
from .test_page import CHROMIUM, FRAMES, View, browser, forked_trace  # noqa: F401 - a fixture

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

OURS = re.compile(
    r"\b(blocks?|slots?|sequences?|requests?|device|host|evict\w*|preempt\w*|prefix (hit|cache)s?|logical)\b",
    re.IGNORECASE,
)

TEXTS = """(() => {
  const root = document.querySelector('.pagedviz').cloneNode(true);
  for (const own of root.querySelectorAll('.pv-token, .pv-node-text, .pv-text, .pv-model')) own.remove();
  const all = [...root.querySelectorAll('*')];
  const names = ['title', 'aria-label', 'aria-valuetext', 'placeholder', 'label'];
  const said = all.flatMap((e) => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data));
  const named = all.flatMap((e) => names.map((name) => e.getAttribute(name) ?? ''));
  return [...said, ...named].map((text) => text.replace(/“[^”]*”/gs, '')).filter(Boolean);
})()"""


def show_all(view) -> None:
    off = ".pv-switches [aria-pressed=false], [data-family][aria-pressed=false]"
    view.do(f"document.querySelectorAll('{off}').forEach((button) => button.click())")


@pytest.fixture
def busy(browser, request):  # noqa: F811
    view = View(browser, streams.eventful_trace(request.getfixturevalue("streams")), width=1280)
    view.do("harness.batch(45)")
    show_all(view)
    yield view
    assert view.errors == []
    view.page.close()


def test_everything_is_said_in_other_words_and_back(busy):
    before = busy.page.evaluate(TEXTS)
    busy.part("os-words").click()
    assert [text for text in busy.page.evaluate(TEXTS) if OURS.search(text)] == []
    assert busy.page.evaluate("document.activeElement.dataset.testid") == "os-words"
    assert "Page tables" in busy.part("block-tables").inner_text()
    assert "MMU" in busy.part("analogy").text_content()
    for kind in ("sequences", "blocks", "requests", "counters"):
        busy.part("table-kind").select_option(kind)
        busy.do("0")
        assert [text for text in busy.page.evaluate(TEXTS) if OURS.search(text)] == [], kind
    busy.part("table-kind").select_option("sequences")
    busy.part("os-words").click()
    assert busy.part("analogy").count() == 0
    assert busy.page.evaluate(TEXTS) == before


def test_tooltips_are_said_in_other_words(busy):
    busy.part("os-words").click()
    for selector in ("canvas.pv-map", "canvas.pv-chart", ".pv-chip", ".pv-token", ".pv-lane", ".pv-node"):
        busy.page.locator(selector).first.focus()
        busy.page.keyboard.press("End")
        busy.page.keyboard.press("Home")
        busy.page.evaluate(FRAMES)
        assert busy.page.locator(".pv-tooltip").is_visible(), selector
        assert [text for text in busy.page.evaluate(TEXTS) if OURS.search(text)] == [], selector


def test_what_a_person_set_stays(busy):
    busy.page.click("[data-panel=tokens]")
    busy.page.click("[data-family=block]")
    busy.part("event-filter").fill("forked")
    busy.part("colour-mode").select_option("age")
    busy.part("speed").select_option("30")
    busy.part("scrubber").focus()
    busy.page.keyboard.press("ArrowLeft")
    busy.part("os-words").click()
    busy.do("0")
    assert not busy.part("tokens").is_visible()
    assert busy.page.get_attribute("[data-family=block]", "aria-pressed") == "false"
    assert busy.part("event-filter").input_value() == "forked"
    assert busy.part("colour-mode").input_value() == "age"
    assert busy.part("speed").input_value() == "30"
    assert busy.root("at") != "live"
    busy.page.keyboard.press("?")
    assert busy.part("help").is_visible()
    busy.do("harness.unmount()")
    assert busy.page.locator(".pagedviz").count() == 0


def test_all_dashboards_of_a_page_follow(browser):  # noqa: F811
    view = View(browser, forked_trace())
    view.do("harness.batch(5)")
    view.page.evaluate(
        "(async () => { const text = document.getElementById('bundle').textContent;"
        "const other = await import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));"
        "other.mount(document.body.appendChild(document.createElement('div')), harness.port); })()"
    )
    view.page.locator("[data-testid=os-words]").nth(1).click()
    assert view.page.locator("h3", has_text="Page tables").count() == 2
    assert view.errors == []
    view.page.close()
