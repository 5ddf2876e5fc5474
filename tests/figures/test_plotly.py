import pytest

from pagedviz.figures import block_map, memory_timeline, theme
from pagedviz.trace import State, memory_history
from pagedviz.trace.state import Eviction


@pytest.fixture(scope="module")
def trace(streams):
    return streams.trace_of(streams.golden_run())


@pytest.mark.parametrize(("tier", "slots"), [("device", 8 * 4), ("host", 6 * 4)])
def test_the_timeline_stacks_to_the_pool(trace, tier, slots):
    figure = memory_timeline(trace, tier)
    stacked = [line for line in figure.data if line.stackgroup]
    assert [line.name for line in stacked] == [theme().label(key) for key in ("used", "cached", "internal", "free")]
    assert {sum(values) for values in zip(*(line.y for line in stacked), strict=True)} == {slots}
    assert ("simulated in RAM" in figure.layout.title.text) == (tier == "device")


def test_the_timeline_marks_what_is_no_ordinary_work(trace):
    marks = {line.name: line for line in memory_timeline(trace).data if line.mode == "markers"}
    points = memory_history(trace)
    for key in ("preempted", "copied", "evicted", "swapped_out", "swapped_in"):
        steps = [point.step for point in points if getattr(point, key)]
        assert list(marks[theme().label(key)].x) == steps


def test_a_long_run_is_thinned(trace):
    from pagedviz.figures.picture.strip import thin

    points = memory_history(trace)
    few = thin(points, 7)
    assert len(few) <= 7
    assert few[-1].use == points[-1].use
    for index in range(2, len(points[0])):
        assert sum(point[index] for point in few) == sum(point[index] for point in points)


def test_the_block_map_has_a_cell_for_every_block(trace):
    state = next(
        state
        for state in map(trace.state_at, range(trace.last_step))
        if any(len(block.holders) > 1 for block in state.blocks.get("device", {}).values())
    )
    figure = block_map(state, trace.info)
    cells = [cell for row in figure.data[0].z for cell in row if cell is not None]
    assert len(cells) == 8
    assert sum(cell > 0 for cell in cells) == len(state.blocks["device"])
    assert any(line.name == theme().label("shared") for line in figure.data[1:])


@pytest.mark.parametrize("key", ["cached", "moved", "evicted"])
def test_the_block_map_marks_the_cache_and_the_tiers(trace, key):
    found = []
    for state in map(trace.state_at, range(trace.last_step + 1)):
        for tier in ("device", "host"):
            figure = block_map(state, trace.info, tier)
            found += [list(line.x) for line in figure.data[1:] if line.name == theme().label(key)]
            assert sum(cell == 1 for row in figure.data[0].z for cell in row) == sum(
                not block.holders for block in state.blocks.get(tier, {}).values()
            )
    assert found


def test_what_a_policy_says_is_text(trace):
    state = trace.state_at(0)
    state.evicted = {"device": {3: Eviction(0, "<b>mine</b>", '<a href="x">')}}
    told = block_map(state).data[0].text[1][0]
    assert told.endswith('evicted in step 0 by &lt;b&gt;mine&lt;/b&gt;: &lt;a href="x"&gt;')


@pytest.mark.parametrize("blocks", [0, 1, 200_000])
def test_odd_pools_can_be_drawn(blocks):
    state = State(4, {"device": blocks})
    figure = block_map(state)
    assert ("the first 131,072" in figure.layout.title.text) == (blocks > 131_072)
