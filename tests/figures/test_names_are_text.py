"""Names and reasons in a trace are data: plotly reads tags, entities and TeX, and must show them as they are."""

import html
import json
import shutil
from dataclasses import dataclass

import pytest

from pagedviz.figures import (
    block_lifetimes,
    block_map,
    fragmentation,
    hit_rates,
    memory_timeline,
    request_lanes,
    reuse_distances,
)
from pagedviz.figures.plotly.frame import literal
from pagedviz.figures.words import plain
from pagedviz.trace import State, Trace

MARKUP = "<b>$x^2$ %{y} &amp; <br></b>"
SHOWN = "&lt;b&gt;&#36;x^2&#36; %{y} &amp;amp; &lt;br&gt;&lt;/b&gt;"
OF_TRACES = [memory_timeline, fragmentation, block_lifetimes, request_lanes, reuse_distances]
OF_TIERS = OF_TRACES[:3]


@dataclass
class Row:
    policy: str
    num_blocks: int
    hit_rate: float


@pytest.fixture(scope="module")
def hostile(streams):
    """A run in which requests, policy, reasons and model are called what plotly would read as markup."""
    data = streams.trace_of(streams.golden_run()).to_bytes().decode()
    for name in ("r0", "r1", "r2", "lru", "toy"):
        data = data.replace(f'"{name}"', json.dumps(MARKUP + name))
    trace = Trace.from_bytes(data.encode())
    assert all(MARKUP in name for name in trace.state_at(trace.last_step).requests)
    return trace


def strings(value):
    """Every text of a figure but those of its template."""
    if isinstance(value, dict):
        return [text for key, inner in value.items() if key != "template" for text in strings(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def texts_in(figure):
    """Every text, if none has markup that is not ours."""
    texts = strings(figure.to_dict())
    for text in texts:
        ours = text.replace("<extra></extra>", "").replace("<br><sub>", "").replace("</sub>", "")
        assert not {"<", "$"} & {*ours}, text
    return texts


@pytest.mark.parametrize("figure", OF_TRACES, ids=lambda figure: figure.__name__)
def test_of_a_trace(hostile, figure):
    assert texts_in(figure(hostile))


@pytest.mark.parametrize("by", ["step", "time"])
def test_of_requests(hostile, by):
    texts = texts_in(request_lanes(hostile, by))
    assert f"{SHOWN}r0" in texts  # where a pointer rests
    assert literal(MARKUP, 24) in texts  # beside its lane


def test_of_evicted_blocks(hostile):
    states = [hostile.state_at(step) for step in range(hostile.last_step + 1)]
    texts = [text for state in states for text in texts_in(block_map(state, hostile.info))]
    assert any(f"by {SHOWN}lru" in text for text in texts)


@pytest.mark.parametrize("blocks", [0, 4])
def test_of_tiers(hostile, blocks):
    start = State(4, {"device": 4, MARKUP: blocks})
    trace = Trace(hostile.info, start, ())
    for figure in [*(figure(trace, MARKUP) for figure in OF_TIERS), block_map(start, hostile.info, MARKUP)]:
        assert any(SHOWN in text for text in texts_in(figure))


def test_of_policies():
    figure = hit_rates([Row(MARKUP, 8, 0.5), Row(MARKUP, 16, 0.75)])
    assert SHOWN in texts_in(figure)
    (line,) = figure.data
    assert "%{y}" not in line.hovertemplate  # it would be replaced by a number


def test_literal_text_is_cut_before_it_is_escaped():
    assert literal("<<<<<<", 4) == "&lt;&lt;&lt;\u2026"
    assert literal('a\n"quoted"') == 'a\ufffd"quoted"'


def test_plotly_draws_them_so(hostile, tmp_path):
    pytest.importorskip("kaleido", reason="kaleido is not installed: pip install 'pagedviz[images]'")
    if not any(map(shutil.which, ("chromium", "chrome", "google-chrome", "chromium-browser"))):
        pytest.skip("no Chrome or Chromium on the path")
    request_lanes(hostile).write_image(tmp_path / "lanes.svg")
    assert plain(f"{MARKUP}r0", 24) in html.unescape((tmp_path / "lanes.svg").read_text(encoding="utf-8"))
