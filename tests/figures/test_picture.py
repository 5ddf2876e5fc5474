import xml.etree.ElementTree as ET

import msgspec
import pytest

from pagedviz.errors import TraceFormatError
from pagedviz.events import Batch, BlockFreed
from pagedviz.figures import block_map, memory_summary, picture, summary
from pagedviz.figures.picture.cells import MOST_CELLS, grid_for
from pagedviz.figures.picture.picture import picture_of
from pagedviz.figures.picture.strip import memory_bar, memory_strip
from pagedviz.figures.picture.svg import ink_on
from pagedviz.figures.sentences import describe
from pagedviz.figures.theme import theme
from pagedviz.trace import Block, MemoryPoint, MemoryUse, Request, Sequence, State, Trace, memory_history
from pagedviz.trace.state import Eviction

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


def test_the_picture_of_a_trace_at_a_step_tells_nothing_of_later_steps(streams):
    trace = streams.trace_of(streams.random_run(21))
    for step in (trace.first_step, trace.last_step // 2, trace.last_step):
        until = Trace(trace.info, trace.start, [batch for batch in trace.batches if batch.step <= step])
        image = picture_of(trace, trace.state_at(step))
        assert image == picture(until.state_at(step), trace.info, memory_history(until))


def test_what_contradicts_itself_later_can_be_drawn_before(streams):
    toy = streams.random_run(2)
    last = toy.batches[-1]
    bad = Batch(toy.seq, last.step + 1, 0, (BlockFreed("device", 0, 999),))
    trace = Trace(streams.info_of(toy), streams.start_of(toy), [*toy.batches, bad])
    assert ET.fromstring(picture_of(trace, trace.state_at(last.step))).tag == f"{SVG}svg"
    with pytest.raises(TraceFormatError):
        memory_history(trace)


def test_a_picture_needs_nothing_from_outside(streams):
    image = picture(*drawn(streams))
    for word in ("href", "url(", "<style", "<script", " id=", "@import"):
        assert word not in image


def test_every_held_block_is_drawn_and_told(streams):
    trace = streams.trace_of(streams.random_run(21, steps=60))
    kinds = set()
    for step in range(0, trace.last_step + 1, 4):
        state = trace.state_at(step)
        root = ET.fromstring(picture(state, trace.info))
        told = [title.text for title in root.iter(f"{SVG}title") if title.text.startswith("Block ")]
        for tier in ("device", "host"):
            blocks = state.blocks.get(tier, {})
            here = [text for text in told if text.startswith(tuple(f"Block {n} of the {tier}:" for n in blocks))]
            assert len(here) == len(blocks)
            assert sum("cached; nobody has it" in text for text in here) == sum(
                not b.holders for b in blocks.values()
            )
        evictions = [text for text in told if "was evicted in step" in text]
        recent = [
            e for gone in state.evicted.values() for e in gone.values() if step - e.step < theme().copied_steps
        ]
        assert len(evictions) == len(recent)
        kinds |= {
            word for word in ("cached;", "; from block", "evicted", "is free", "filled") for t in told if word in t
        }
    assert kinds == {"cached;", "; from block", "evicted", "is free", "filled"}


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
    state.evicted["device"] = {0: Eviction(1, evil, evil), 23: Eviction(1, evil, evil)}
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
    block_map(state, info).to_json()
    for words in (image, summary(state, info)):
        assert not any(character in words for character in "\x00\x1b\u202e\ud800")
    assert len(memory_summary(state, info).splitlines()) == 7


def test_a_pool_without_blocks_and_a_history_of_one_point_can_be_drawn(streams):
    info = streams.info_of(streams.Toy(0))
    for state in (
        State(4, {}),
        State(4, {"device": 0}),
        State(4, {"device": 2**62}),
        State(4, {"device": 4, "host": 9}),
    ):
        ET.fromstring(picture(state, info, [MemoryPoint(0, MemoryUse(0, 0, 0, 0))]))
        assert summary(state, info)
        assert memory_summary(state, info)


def test_history_marks_are_drawn(streams):
    seen = set()
    for seed in range(8):
        trace = streams.trace_of(streams.random_run(seed, num_blocks=12, num_host=6, steps=50))
        points = memory_history(trace)
        image = picture(trace.state_at(trace.last_step), trace.info, points)
        for key in MemoryPoint._fields[2:]:
            there = any(getattr(point, key) for point in points)
            assert (f"{theme().label(key)}</title>" in image) == there
            seen |= {key} if there else set()
    assert seen == set(MemoryPoint._fields[2:])


def test_a_long_run_has_marks_of_a_bounded_number(streams):
    use = MemoryUse(1, 1, 1, 1)
    points = [MemoryPoint(step, use, 1, 1, 1, 1, 1) for step in range(10_000)]
    strip = memory_strip(points, 0, 0, 460, 130)
    assert strip.count("<title>") < 5 * 100
    assert "Steps 0 to 131: 132 blocks swapped out" in strip
    assert len(strip) < 150_000


def test_memory_is_stacked_to_its_parts():
    bar = ET.fromstring(f"<svg>{memory_bar(MemoryUse(8, 4, 2, 2), 0, 0, 160, 10)}</svg>")
    drawn = [(float(part.get("x")), float(part.get("width")), part.get("fill")) for part in list(bar)[1:]]
    colours = theme().memory
    assert drawn == [(0, 80, colours["used"]), (80, 40, colours["cached"]), (120, 20, colours["internal"])]


def cache_state():
    """Four device and four host blocks of four slots: held, cached, evicted, moved; the step is 20."""
    state = State(4, {"device": 4, "host": 4}, step=20)
    state.requests["r0"] = Request("r0", [0], 4, 8, "swapped")
    state.sequences[0] = Sequence(0, "r0", 4, [1, 2, 3, 4], [""] * 4, 4, "swapped", {0: [("host", 2)]})
    state.blocks = {
        "device": {1: Block(0, (), 3, hash="aa", cached=9)},
        "host": {2: Block(0, ((0, 0),), 19, hash="bb", moved_from=0)},
    }
    state.evicted = {"device": {0: Eviction(18, "lru", "cold"), 3: Eviction(2, "lru", "")}}
    return state


@pytest.mark.parametrize(
    ("tier", "number", "sentence"),
    [
        (
            "device",
            0,
            "Block 0 of the device is free. What was cached in it was evicted in step 18 by lru: cold",
        ),
        (
            "device",
            1,
            "Block 1 of the device: cached; nobody has it since step 9, its content is kept; allocated in step 3",
        ),
        ("device", 3, "Block 3 of the device is free"),
        (
            "host",
            2,
            "Block 2 of the host: A (its block 0); 4 of 4 slots filled; from block 0 of the device in step 19",
        ),
    ],
)
def test_a_block_in_words(tier, number, sentence):
    assert describe(cache_state(), tier, number) == sentence


def test_the_picture_of_a_cache_says_so(streams):
    state, info = cache_state(), streams.info_of(streams.Toy(0))
    root = ET.fromstring(picture(state, info))
    said = [element.text for element in root.iter(f"{SVG}text")]
    for words in (
        "Block map: host",
        "0 of 4 in use, 1 cached",
        "cached, nobody has it",
        "0\u2192h2",
        "1 request, 1 waiting",
    ):
        assert words in said
    assert len([e for e in root.iter() if e.get("stroke-dasharray")]) == 2, "the block, and the legend"
    assert summary(state, info).endswith("0 of 4 in use, 1 cached on the device (simulated in RAM)")
    assert "requests: 1 swapped" in summary(state, info)
    plain = State(4, {"device": 4, "host": 0})
    said = [element.text for element in ET.fromstring(picture(plain, info)).iter(f"{SVG}text")]
    assert not {"Block map: host", "cached, nobody has it", "swapped out", "eviction"} & set(said)


def test_the_cache_and_swaps_in_words(streams):
    state, info = cache_state(), streams.info_of(streams.Toy(0))
    for key, value in {
        "cached": 4,
        "evicted": 2,
        "hit_tokens": 12,
        "missed_tokens": 36,
        "lost_tokens": 5,
        "preempted": 1,
        "swapped_out": 1,
        "swapped_in": 3,
        "swapped_bytes": 6144,
    }.items():
        setattr(state.counters, key, value)
    lines = memory_summary(state, info).splitlines()
    assert "16 token slots in 24.0 KiB: 0 used (0 %), 4 cached (25 %), 0 waste (0 %), 12 free (75 %)" in lines[1]
    assert lines[-3:] == [
        "requests: 0 finished, 1 preemption, 5 tokens lost",
        "prefix cache: 25 % of 48 tokens of new requests found, 2 blocks evicted",
        "swaps: 1 block out, 3 in, 6.0 KiB copied",
    ]


@pytest.mark.parametrize("num_blocks", [64, 2000, 10_000])
def test_cached_moved_and_evicted_blocks_are_seen_at_every_size(streams, num_blocks):
    info = streams.info_of(streams.Toy(0))
    plain = State(4, {"device": num_blocks}, step=9)
    image = picture(plain, info)
    plain.blocks = {"device": {5: Block(0, (), 3, hash="aa", cached=9)}}
    cached = picture(plain, info)
    plain.blocks = {"device": {5: Block(0, (), 8, hash="aa", cached=9, moved_from=2)}}
    moved = picture(plain, info)
    plain.blocks, plain.evicted = {}, {"device": {5: Eviction(9, "lru", "")}}
    evicted = picture(plain, info)
    different = {image, cached, moved, evicted}
    assert len(different) == (4 if num_blocks <= MOST_CELLS else 2), "merged cells show what is in memory only"


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
