import shutil
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pagedviz as pv
from pagedviz.errors import ConfigError
from pagedviz.figures import (
    block_lifetimes,
    block_map,
    fragmentation,
    memory_timeline,
    request_lanes,
    reuse_distances,
)
from pagedviz.trace import Trace
from pagedviz.trace.analysis import reuse
from pagedviz.trace.analysis.lifetimes import ENDINGS
from pagedviz.trace.analysis.lifetimes import block_lifetimes as lifetimes_of

OF_TRACES = [memory_timeline, fragmentation, request_lanes, block_lifetimes, reuse_distances]
OF_TIERS = [memory_timeline, fragmentation, block_lifetimes]


@pytest.fixture(scope="module")
def trace(streams):
    return streams.trace_of(streams.golden_run())


@pytest.fixture(scope="module")
def late(streams):
    toy = streams.random_run(9, num_host=8)
    whole, cut = streams.trace_of(toy), len(toy.batches) // 2
    return Trace(whole.info, whole._replay.after(cut), toy.batches[cut:])


@pytest.mark.parametrize("tier", ["device", "host"])
@pytest.mark.parametrize("which", ["trace", "late"])
def test_fragmentation_is_what_every_state_says(request, which, tier):
    trace = request.getfixturevalue(which)
    figure = fragmentation(trace, tier)
    for key, line in zip(("used", "reserved", "internal", "external", "cached", "free"), figure.data, strict=True):
        for step, share in zip(line.x, line.y, strict=True):
            state = trace.state_at(step)
            use, waste = state.memory(tier), state.waste(tier)
            parts = {**waste._asdict(), "cached": use.cached, "free": use.free}
            assert share == pytest.approx(100 * parts[key] / use.total)
    assert any(figure.data[1].y), "something is reserved"
    assert {round(sum(shares), 9) for shares in zip(*(line.y for line in figure.data), strict=True)} == {100}


@pytest.mark.parametrize("tier", ["device", "host"])
def test_lifetimes_that_outlast_a_step_are_seen_in_the_states(late, tier):
    seen, open_ = Counter(), {}
    for step in range(late.first_step, late.last_step + 1):
        now = {number: block.born for number, block in late.state_at(step).blocks.get(tier, {}).items()}
        for number, born in open_.items() - now.items():
            seen[number, born, step - born] += 1
        open_ = now
    for number, born in open_.items():
        seen[number, born, late.last_step - born] += 1
    lives = lifetimes_of(late, tier)
    told = Counter((life.block, life.born, life.steps) for life in lives)
    # A life within one step, or one that ended between two, is in no state: of the others each is in both.
    assert not seen - told
    assert all(steps == 0 for _, _, steps in told - seen)
    assert {life.ending for life in lives} <= set(ENDINGS)
    figure = block_lifetimes(late, tier)
    assert sum(sum(bars.y) for bars in figure.data) == len(lives)
    state = late.state_at(late.last_step)
    ends = Counter(life.ending for life in lives)
    assert ends["held"] + ends["cached"] == len(state.blocks[tier])
    assert ends["evicted"] == sum(type(e).__name__ == "BlockEvicted" and e.tier == tier for e in late.events)


def lru_hits(uses, size):
    """An LRU cache, run: how many of the uses that were asked for it has."""
    cache, hits = OrderedDict(), 0
    for _, content, asked in uses:
        hits += asked and content in cache
        cache.pop(content, None)
        cache[content] = None
        while len(cache) > size:
            cache.popitem(last=False)
    return hits


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), groups=st.integers(1, 2))
def test_the_curve_is_what_lru_caches_of_that_size_find(streams, seed, groups):
    trace = streams.trace_of(streams.random_run(seed, groups=groups, num_host=8))
    uses = reuse.content_uses(trace)
    bars, curve = reuse_distances(trace).data
    asked = sum(use.asked for use in uses)
    for size, rate in zip(curve.x, curve.y, strict=False):
        assert rate == pytest.approx(100 * lru_hits(uses, size) / asked)
    assert sum(bars.y) == sum(distance != reuse.FIRST for distance in reuse.reuse_distances(trace))


@given(st.lists(st.integers(0, 8), max_size=60))
def test_distances_count_the_contents_in_between(contents):
    for index, distance in enumerate(reuse.stack_distances(contents)):
        before = [at for at in range(index) if contents[at] == contents[index]]
        assert distance == (len(set(contents[before[-1] + 1 : index])) if before else reuse.FIRST)


def test_a_prompt_seen_twice_is_asked_for_twice(byte_engine):
    engine = byte_engine(num_device_blocks=64)
    with pv.record(engine) as recording:
        for _ in range(2):
            engine.generate(["abcdefghijklmnop."], pv.SamplingParams(max_tokens=1, temperature=0))
    assert reuse.reuse_distances(recording.trace) == [-1] * 4 + [3] * 4
    assert reuse_distances(recording.trace).data[1].y[-1] == 50


@pytest.mark.parametrize("by", ["step", "time"])
def test_lanes_have_a_bar_for_every_stretch(trace, by):
    from pagedviz.trace.analysis.lanes import request_stretches

    figure = request_lanes(trace, by)
    pieces = [piece for lane in request_stretches(trace).values() for piece in lane]
    wanted = [piece for piece in pieces if by == "time" or piece.last >= piece.first]
    assert sum(len(bars.x) for bars in figure.data) == len(wanted)
    assert figure.layout.yaxis.ticktext == tuple(trace.state_at(trace.last_step).requests)
    assert [len(bars.y) for bars in request_lanes(trace, by, ["r1"]).data] == [
        sum(row == 1 for row in bars.y) for bars in figure.data
    ]


@pytest.mark.parametrize("figure", OF_TRACES, ids=lambda figure: figure.__name__)
@pytest.mark.parametrize("batches", [0, 1, 2])
def test_traces_of_next_to_nothing_can_be_drawn(trace, figure, batches):
    drawn = figure(Trace(trace.info, trace.start, trace.batches[:batches]))
    drawn.to_json()
    assert drawn.layout.title.text


@pytest.mark.parametrize("figure", OF_TRACES, ids=lambda figure: figure.__name__)
def test_every_figure_says_what_it_shows(late, figure):
    drawn = figure(late)
    assert drawn.layout.title.text
    assert drawn.layout.xaxis.title.text
    assert all(line.hovertemplate or line.hoverinfo == "skip" for line in drawn.data)
    assert all(line.name for line in drawn.data)


@pytest.mark.parametrize("figure", OF_TRACES, ids=lambda figure: figure.__name__)
def test_a_state_is_no_trace(trace, figure):
    with pytest.raises(ConfigError, match=r"a pagedviz.Trace is needed here, not a State"):
        figure(trace.state_at(0))


def test_bad_arguments_name_the_value_and_what_is_valid(trace):
    with pytest.raises(ConfigError, match=r"State is needed here, not .*Trace.*: take trace.state_at"):
        block_map(trace)
    for figure in OF_TIERS:
        with pytest.raises(ConfigError, match="tier is 'disk'; it can be 'device', 'host'"):
            figure(trace, "disk")
    with pytest.raises(ConfigError, match="tier is None"):
        block_map(trace.start, tier=None)
    with pytest.raises(ConfigError, match="by is 'hour'; it can be 'step', 'time'"):
        request_lanes(trace, by="hour")
    with pytest.raises(ConfigError, match="request 'r9' is not in the trace, which has 'r0', 'r1', 'r2'"):
        request_lanes(trace, requests=["r9"])


def test_a_figure_is_written_as_an_image(trace, tmp_path: Path):
    pytest.importorskip("kaleido", reason="kaleido is not installed: pip install 'pagedviz[images]'")
    if not any(map(shutil.which, ("chromium", "chrome", "google-chrome", "chromium-browser"))):
        pytest.skip("no Chrome or Chromium on the path")
    request_lanes(trace).write_image(tmp_path / "lanes.svg")
    assert "<svg" in (tmp_path / "lanes.svg").read_text(encoding="utf-8")[:200]
