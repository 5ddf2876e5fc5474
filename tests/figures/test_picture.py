import xml.etree.ElementTree as ET

import msgspec
import pytest

from pagedviz.figures import memory_summary, picture, summary
from pagedviz.figures.cells import MOST_CELLS, grid_for
from pagedviz.figures.svg import ink_on
from pagedviz.figures.theme import theme
from pagedviz.trace import MemoryPoint, MemoryUse, State, memory_history

SVG = "{http://www.w3.org/2000/svg}"


def drawn(streams, **run):
    trace = streams.trace_of(streams.random_run(21, **run))
    state = trace.state_at(trace.last_step)
    return state, trace.info, memory_history(trace)


@pytest.mark.parametrize("num_blocks", [1, 16, 256, 1000, 4096, 100_000])
def test_a_picture_is_sound_xml_of_a_size_for_notebooks(streams, num_blocks):
    state, info, history = drawn(streams, num_blocks=num_blocks, steps=20)
    image = picture(state, info, history)
    root = ET.fromstring(image)
    assert root.tag == f"{SVG}svg"
    assert len(image) < 150_000
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert "Block map: device (simulated in RAM)" in words
    assert f"step {state.step}" in words
    assert root.get("aria-label") == summary(state, info)


def test_a_picture_needs_nothing_from_outside(streams):
    image = picture(*drawn(streams))
    for word in ("href", "url(", "<style", "<script", " id=", "@import"):
        assert word not in image


def test_every_held_block_is_drawn_and_told(streams):
    state, info, _ = drawn(streams)
    root = ET.fromstring(picture(state, info))
    told = [title.text for title in root.iter(f"{SVG}title") if title.text.startswith("Block ")]
    assert len(told) == len(state.blocks["device"])


@pytest.mark.parametrize(
    "evil", ['<img src=x onerror="alert(1)">', "&amp;]]>", "\x00\x1b[31m\n", "\u202egnp", "\ud800"]
)
def test_text_of_others_is_only_text(streams, evil):
    toy = streams.Toy(1)
    toy.add(5, 5)
    toy.step()
    trace = streams.trace_of(toy)
    state = trace.state_at(1)
    request = state.requests.pop("r0")
    request.name = evil
    state.requests[evil] = request
    state.sequences[0].request = evil
    info = msgspec.structs.replace(trace.info, model=evil, attention=evil, dtype=evil)
    image = picture(state, info, memory_history(trace), note=evil)
    root = ET.fromstring(image.encode())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "g",
        "text",
        "title",
        "rect",
        "path",
        "circle",
    }
    for words in (image, summary(state, info)):
        assert not any(character in words for character in "\x00\x1b\u202e\ud800")
    assert len(memory_summary(state, info).splitlines()) == 5


def test_a_pool_without_blocks_and_a_history_of_one_point_can_be_drawn(streams):
    info = streams.info_of(streams.Toy(0))
    for state in (
        State(4, {}),
        State(4, {"device": 0}),
        State(4, {"device": 2**62}),
        State(4, {"device": 4, "host": 9}),
    ):
        ET.fromstring(picture(state, info, [MemoryPoint(0, MemoryUse(0, 0, 0), 0, 0)]))
        assert summary(state, info)
        assert memory_summary(state, info)


def test_history_marks_are_drawn(streams):
    toy = streams.random_run(3, num_blocks=12, steps=60)
    trace = streams.trace_of(toy)
    points = memory_history(trace)
    image = picture(trace.state_at(trace.last_step), trace.info, points)
    assert ("preempted</title>" in image) == any(point.preempted for point in points)
    assert ("copied on write</title>" in image) == any(point.copied for point in points)


@pytest.mark.parametrize("num_blocks", [0, 1, 7, 8, 9, 64, 100, 255, 256, 1000, 4096, 4097, 10**6, 2**62])
def test_a_grid_holds_its_pool_and_fits_its_box(num_blocks):
    grid = grid_for(num_blocks, 500, 470)
    assert grid.columns * grid.rows * grid.blocks_per_cell >= num_blocks
    assert grid.columns * grid.rows <= MOST_CELLS + grid.columns
    assert grid.columns * grid.cell <= 500.001
    assert grid.height <= 470.001


def test_letters_can_be_read_on_every_owner_colour():
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in theme().owners:
        low, high = sorted((luminance(colour), luminance(ink_on(colour))))
        assert (high + 0.05) / (low + 0.05) >= 3.0, colour
