"""The page of a run of which little is known: facts of its header, and entries of its block tables."""

from __future__ import annotations

import os
import re
from types import ModuleType

import pytest

from pagedviz.events.codec import EngineInfo, LayerGroup
from pagedviz.trace import Trace

from .test_page import FRAMES, View, browser, pytestmark  # noqa: F401 - a fixture, and marks

WRONG = re.compile(r"undefined|NaN|\bnull\b|\bNone\b(?! of the last)")  # as the list of events says it

BATCHES = 1 if os.environ.get("PAGEDVIZ_NIGHTLY") else 6
"""How many batches come between two readings of all that the page says."""

LABELS = """[...document.querySelectorAll("[aria-label], [title]")]
  .map((element) => `${element.ariaLabel ?? ""} ${element.title}`).join()"""


def bare_trace(toys: ModuleType, groups: tuple[LayerGroup, ...] | None) -> Trace:
    run = toys.trace_of(toys.paging_run(2))
    return Trace(EngineInfo(None, 4, 20, 12, groups), run.start, run.batches)


@pytest.mark.parametrize("groups", [None, (LayerGroup(()), LayerGroup((), 64))], ids=["no groups", "no layers"])
def test_what_is_unknown_is_never_a_word_of_the_machine(browser, streams, groups):  # noqa: F811
    view = View(browser, bare_trace(streams, groups).to_bytes(), width=1280)
    assert view.page.inner_text(".pv-model") == "unknown model"
    assert view.page.inner_text(".pagedviz").count("unknown device") == 1
    for _ in range(30 // BATCHES):
        view.do(f"harness.batch({BATCHES})")
        told = view.page.inner_text(".pagedviz") + view.page.evaluate(LABELS)
        assert not WRONG.search(told), WRONG.search(told)
    if groups:
        titles = view.page.locator(".pv-group").all_inner_texts()
        assert {"group 0", "group 1, window 64"} == set(titles)
    assert view.errors == []
    view.page.close()


def test_an_absent_entry_is_a_dash_that_says_what_it_means(browser, streams):  # noqa: F811
    trace = bare_trace(streams, None)
    view = View(browser, trace.to_bytes(), width=1280)
    view.do("harness.all()")
    state = trace.state_at(trace.last_step)
    absent = {
        (sequence.id, group, logical)
        for sequence in state.sequences.values()
        for group, table in sequence.tables.items()
        for logical, entry in enumerate(table)
        if entry is None
    }
    chips = view.page.locator(".pv-chip[data-absent]")
    place = "({dataset: d}) => [d.sequence, d.group, d.logical].map(Number)"
    assert {tuple(chip.evaluate(place)) for chip in chips.all()} == absent
    assert set(chips.locator(".pv-physical").all_inner_texts()) == {"\u2013"}
    chips.first.hover()
    view.page.evaluate(FRAMES)
    first, why = view.page.locator(".pv-tooltip").inner_text().splitlines()
    assert re.fullmatch(r"[A-Z] logical \d+, positions [\d\u2013]+: absent", first)
    assert why == "its block was given back before later ones, or nobody said which it is"
    sequence, _, logical = chips.first.evaluate(place)
    view.page.hover(f".pv-token[data-sequence='{sequence}'][data-position='{logical * 4}']")
    view.page.evaluate(FRAMES)
    assert f"logical block {logical} \u203a absent" in view.page.locator(".pv-tooltip").inner_text()
    assert view.errors == []
    view.page.close()
