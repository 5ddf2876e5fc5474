import pytest

from pagedviz.figures import block_map, memory_timeline, theme
from pagedviz.trace import State, Trace, memory_history


@pytest.fixture(scope="module")
def trace(golden):
    return Trace.load(golden / "tiny_run.pvtrace")


def test_the_timeline_stacks_to_the_pool(trace):
    figure = memory_timeline(trace)
    stacked = [line for line in figure.data if line.stackgroup]
    assert [line.name for line in stacked] == [theme().label(key) for key in ("used", "internal", "free")]
    assert {sum(values) for values in zip(*(line.y for line in stacked), strict=True)} == {8 * 4}
    assert "simulated in RAM" in figure.layout.title.text


def test_the_timeline_marks_preemptions_and_copies(trace):
    marks = {line.name: line for line in memory_timeline(trace).data if line.mode == "markers"}
    points = memory_history(trace)
    for key in ("preempted", "copied"):
        steps = [point.step for point in points if getattr(point, key)]
        assert list(marks[theme().label(key)].x) == steps


def test_a_long_run_is_thinned(trace):
    from pagedviz.figures.strip import thin

    points = memory_history(trace)
    few = thin(points, 7)
    assert len(few) <= 7
    assert few[-1].use == points[-1].use
    assert sum(point.preempted for point in few) == sum(point.preempted for point in points)


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


@pytest.mark.parametrize("blocks", [0, 1, 200_000])
def test_odd_pools_can_be_drawn(blocks):
    state = State(4, {"device": blocks})
    figure = block_map(state)
    assert ("the first 131,072" in figure.layout.title.text) == (blocks > 131_072)
