"""Runs of odd sizes draw: an empty one, 10 000 requests, a request of 100 000 tokens, a warm cache."""

from __future__ import annotations

import pytest

from pagedviz.events import (
    Batch,
    BlockAllocated,
    BlockFilled,
    RequestAdded,
    RequestScheduled,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.events.codec import encode_batch, encode_header, encode_keyframe
from pagedviz.trace.state import Block, State
from pagedviz.widgets.dashboard import PANELS

from . import streams as plain
from .test_page import View, browser, pytestmark  # noqa: F401 - the fixture and the marks
from .test_travel_page import RECORDED, click

LONG = 100_000
"""Tokens of a request whose prompt is computed in one step."""

WARM = 40_000
"""Blocks that are cached when the recording begins."""


def long_request(block_size: int = 2) -> tuple:
    blocks = range(LONG // block_size)
    yield RequestAdded("long", (0,), tuple(range(LONG)), ("x",) * LONG, 4)
    yield RequestScheduled("long", resumed=False)
    yield StepStarted(((0, 0, LONG),))
    yield from (BlockAllocated("device", 0, block, 0, block, "prefill") for block in blocks)
    yield StepFinished(1000, LONG, 0)
    yield from (BlockFilled("device", 0, block, 0, block, f"{block:016x}") for block in blocks)
    yield TokenAppended(0, LONG, 7, "y")


def one_batch(events: tuple, block_size: int = 16, num_blocks: int = 64, warm: int = 0) -> bytes:
    cached = {block: Block(0, (), 0, hash=f"{block:016x}", cached=0) for block in range(warm)}
    start = State(block_size, {"device": num_blocks}, blocks={"device": cached})
    head = encode_header(plain.engine_info(num_blocks, block_size)) + encode_keyframe(start)
    return head + (encode_batch(Batch(0, 1, 10, events)) if events else b"")


@pytest.mark.parametrize(
    ("events", "options"),
    [
        pytest.param((), {}, id="empty"),
        pytest.param(
            tuple(RequestAdded(f"r{i}", (i,), (1, 2), ("a", "b"), 4) for i in range(10_000)),
            {},
            id="10000 requests",
        ),
        pytest.param(tuple(long_request()), {"block_size": 2, "num_blocks": LONG}, id="100000 tokens"),
        pytest.param(
            (RequestAdded("r", (0,), (1,), ("a",), 4),), {"num_blocks": 2 * WARM, "warm": WARM}, id="warm"
        ),
    ],
)
def test_runs_of_odd_sizes_draw(browser, events, options):  # noqa: F811
    view = View(browser, one_batch(events, **options))
    view.page.evaluate(f"() => {{ {RECORDED} }}")
    view.do("harness.all()")
    assert view.page.get_attribute("canvas.pv-map", "aria-label").startswith("Block map")
    assert view.page.locator(".pv-panel").count() == len(PANELS)
    if events:
        click(view, "first")
        assert view.root("step") == "0"
        click(view, "last")
    assert view.errors == []
    view.page.close()
