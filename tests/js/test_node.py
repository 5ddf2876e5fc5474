"""The JavaScript reducer against the Python one, and the rest of the browser's logic, in node: no install."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

import pagedviz
from pagedviz.browser.bundle import bundle
from pagedviz.errors import TraceFormatError
from pagedviz.events import KINDS, Batch
from pagedviz.events.codec import (
    decode_batch,
    decode_header,
    decode_keyframe,
    encode_batch,
    encode_header,
    encode_keyframe,
)
from pagedviz.trace import Trace
from pagedviz.trace.analysis.lanes import ACTIVITIES, request_stretches
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import State

from . import damage
from . import streams as plain

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "tiny_run.pvtrace"
NODE = shutil.which("node")
TIMES = 24 if os.environ.get("PAGEDVIZ_NIGHTLY") else 1
"""How many times as many random streams as usual: at night they are thousands."""

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


def run_node(*tests: str, **environment: Path) -> None:
    paths = {
        "PAGEDVIZ_BROWSER": Path(pagedviz.__file__).parent / "browser",
        "PATH": Path(NODE).parent,
        **environment,
    }
    done = subprocess.run(
        [
            NODE,
            "--no-warnings",
            "--test",
            f"--test-reporter={HERE / 'reporter.mjs'}",
            *(str(HERE / name) for name in tests),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={name: str(value) for name, value in paths.items()},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def write_case(folder: Path, name: str, start: State, batches: list[Batch], *, is_sound: bool) -> bool:
    """A trace, and what Python makes of it: a state per batch, then the number of the event it refuses."""
    state = start.copy()
    trace = encode_header(plain.engine_info(24, state.block_size)) + encode_keyframe(state)
    expected = []
    refused = None
    for batch in batches:
        trace += encode_batch(batch)
    for batch in batches:
        try:
            apply_batch(state, batch)
        except TraceFormatError:
            refused = state.seq
            break
        memory = {tier: state.memory(tier) for tier in state.num_blocks} if is_sound else None
        expected.append(msgspec.Raw(msgspec.json.encode({"state": state, "memory": memory})))
    (folder / f"{name}.pvtrace").write_bytes(trace)
    (folder / f"{name}.json").write_bytes(msgspec.json.encode({"refused": refused, "states": expected}))
    return refused is not None


def spoil(batches: list[Batch], dice: random.Random) -> list[Batch]:
    """The stream with one event left out, doubled, or with a number changed."""
    at = dice.randrange(len(batches))
    events = list(batches[at].events)
    index = dice.randrange(len(events))
    deed = dice.choice(["drop", "double", "change"])
    if deed == "drop":
        del events[index]
    elif deed == "double":
        events.insert(index, events[index])
    else:
        numbers = [name for name in events[index].__struct_fields__ if type(getattr(events[index], name)) is int]
        if numbers:
            name = dice.choice(numbers)
            value = getattr(events[index], name)
            change = {name: max(0, value + dice.choice([-1, 1, 7]))}
            events[index] = msgspec.structs.replace(events[index], **change)
    changed = [*batches[:at], msgspec.structs.replace(batches[at], events=tuple(events)), *batches[at + 1 :]]
    seq = 0
    numbered = []
    for batch in changed:
        numbered.append(msgspec.structs.replace(batch, seq=seq))
        seq += len(batch.events)
    return numbered


def test_both_reducers_agree_after_every_batch(tmp_path):
    for seed in range(20 * TIMES):
        batches = list(plain.batches(seed, 60, groups=1 + seed % 2))
        assert not write_case(tmp_path, f"sound-{seed}", State(4, {"device": 24}), batches, is_sound=True)
    run_node("reducer.test.mjs", PAGEDVIZ_CASES=tmp_path)


def test_a_failing_test_prints_its_difference_and_no_more(tmp_path):
    batches = list(plain.batches(1, 60))
    write_case(tmp_path, "wrong", State(4, {"device": 24}), batches, is_sound=True)
    case = json.loads((tmp_path / "wrong.json").read_text())
    at = next(i for i, expected in enumerate(case["states"]) if len(expected["state"]["blocks"]["device"]) > 3)
    block = next(iter(case["states"][at]["state"]["blocks"]["device"]))
    case["states"][at]["state"]["blocks"]["device"][block]["born"] = 999
    (tmp_path / "wrong.json").write_text(json.dumps(case))
    with pytest.raises(AssertionError) as failure:
        run_node("reducer.test.mjs", PAGEDVIZ_CASES=tmp_path)
    said = str(failure.value).partition("\nassert ")[0]
    assert f"after batch {at}" in said
    assert re.search(rf"\.blocks\.device\.{block}\.born is \d+, not 999", said)
    assert len(said.splitlines()) < 12


def test_both_reducers_agree_from_a_keyframe_on(tmp_path):
    for seed in range(5 * TIMES):
        batches = list(plain.batches(seed, 60))
        # A keyframe comes between two steps; in the middle of one, blocks may be on their way from one to another.
        first = next(i for i in range(40, len(batches)) if batches[i].step != batches[i - 1].step)
        start = State(4, {"device": 24})
        for batch in batches[:first]:
            apply_batch(start, batch)
        write_case(tmp_path, f"later-{seed}", start, batches[first:], is_sound=True)
    run_node("reducer.test.mjs", PAGEDVIZ_CASES=tmp_path)


def test_both_reducers_refuse_the_same_event(tmp_path):
    refused = 0
    for seed in range(60 * TIMES):
        spoiled = spoil(list(plain.batches(seed, 40, groups=1 + seed % 2)), random.Random(seed))
        refused += write_case(tmp_path, f"spoiled-{seed}", State(4, {"device": 24}), spoiled, is_sound=False)
    assert refused > 10
    run_node("reducer.test.mjs", PAGEDVIZ_CASES=tmp_path)


def test_both_reducers_agree_on_caching_swapping_and_beams(tmp_path, streams):
    seen = set()
    for seed in range(12 * TIMES):
        toy = streams.random_run(seed, groups=1 + seed % 2)
        assert not write_case(tmp_path, f"memory-{seed}", streams.start_of(toy), toy.batches, is_sound=True)
        seen |= {type(event) for batch in toy.batches for event in batch.events}
    assert seen == set(KINDS.values())
    run_node("reducer.test.mjs", PAGEDVIZ_CASES=tmp_path)


def test_both_reducers_refuse_the_same_event_about_the_cache_and_the_tiers(tmp_path, streams):
    refused = 0
    for seed in range(60 * TIMES):
        toy = streams.random_run(seed, groups=1 + seed % 2)
        spoiled = spoil(toy.batches, random.Random(seed))
        refused += write_case(tmp_path, f"spoiled-{seed}", streams.start_of(toy), spoiled, is_sound=False)
    assert refused > 10
    run_node("reducer.test.mjs", PAGEDVIZ_CASES=tmp_path)


def test_both_reducers_agree_on_absent_entries_and_tables_in_both_tiers(tmp_path, streams):
    refused = 0
    for seed in range(15 * TIMES):
        toy = streams.paging_run(seed, groups=1 + seed % 2)
        start = streams.start_of(toy)
        assert not write_case(tmp_path, f"paging-{seed}", start, toy.batches, is_sound=True)
        refused += write_case(
            tmp_path, f"spoiled-{seed}", start, spoil(toy.batches, random.Random(seed)), is_sound=False
        )
        half = len(toy.batches) // 2
        for batch in toy.batches[:half]:
            apply_batch(start, batch)
        assert not write_case(tmp_path, f"later-{seed}", start, toy.batches[half:], is_sound=True)
    assert refused > 5
    run_node("reducer.test.mjs", PAGEDVIZ_CASES=tmp_path)


def test_both_reducers_agree_on_the_golden_run(tmp_path):
    header, keyframe, *lines = GOLDEN.read_bytes().splitlines(keepends=True)
    assert decode_header(header).format
    start = decode_keyframe(keyframe, State)
    batches = [decode_batch(line) for line in lines]
    assert not write_case(tmp_path, "golden", start, batches, is_sound=True)
    run_node("reducer.test.mjs", PAGEDVIZ_CASES=tmp_path)


def write_damage(folder: Path, cases: dict[str, bytes]) -> dict[str, int | None]:
    """Traces and what Python makes of them; returns which line of each it refuses."""
    verdicts = {name: damage.verdict(data) for name, data in cases.items()}
    lines = [
        json.dumps({"name": name, "bytes": base64.b64encode(data).decode(), "line": line, "state": state})
        for (name, data), (line, state) in zip(cases.items(), verdicts.values(), strict=True)
    ]
    (folder / "cases.jsonl").write_text("\n".join(lines))
    return {name: line for name, (line, _) in verdicts.items()}


def test_both_readers_refuse_a_damaged_trace_at_the_same_line(tmp_path, streams):
    sound = damage.sources(streams)
    cases = {name: damage.damaged(sound[of], *edit) for name, (of, *edit) in damage.EDITS.items()}
    refused = write_damage(tmp_path, cases)
    assert refused == {name: line for name, (_, line, *_) in damage.EDITS.items()}
    run_node("damage.test.mjs", PAGEDVIZ_CASES=tmp_path)


def test_both_readers_make_the_same_of_any_value_anywhere(tmp_path, streams):
    sound = damage.sources(streams)
    cases = {}
    for seed in range(200 * TIMES):
        dice = random.Random(seed)
        lines = sound[dice.choice([*sound])]
        number, path, value = damage.random_damage(lines, dice)
        name = f"{seed}: line {number}, {path} is {json.dumps(value)[:100]}"
        cases[name] = damage.damaged(lines, number, path, value)
    refused = [line for line in write_damage(tmp_path, cases).values() if line]
    assert len(cases) / 2 < len(refused) < len(cases)
    run_node("damage.test.mjs", PAGEDVIZ_CASES=tmp_path)


def test_both_twins_say_what_every_request_did_when(tmp_path, streams):
    seen = set()
    for seed in range(12 * TIMES):
        toy = streams.random_run(seed, groups=1 + seed % 2)
        start = streams.start_of(toy)
        half = len(toy.batches) // 2 if seed % 3 == 0 else 0
        for batch in toy.batches[:half]:
            apply_batch(start, batch)
        trace = Trace(plain.engine_info(24, start.block_size), start, toy.batches[half:])
        stretches = request_stretches(trace)
        (tmp_path / f"run-{seed}.pvtrace").write_bytes(trace.to_bytes())
        steps = {
            name: [[s.what, s.first, s.last] for s in found if s.first <= s.last]
            for name, found in stretches.items()
        }
        (tmp_path / f"run-{seed}.json").write_text(json.dumps(steps))
        seen |= {s.what for found in stretches.values() for s in found}
    assert seen == set(ACTIVITIES)
    run_node("lanes.test.mjs", PAGEDVIZ_CASES=tmp_path)


def test_the_rest_of_the_browsers_logic(tmp_path, streams):
    (tmp_path / "bundle.mjs").write_text(bundle(), encoding="utf-8")
    start = State(4, {"device": 24})
    trace = encode_header(plain.engine_info(24, 4)) + encode_keyframe(start)
    for batch in plain.batches(1, 60):
        trace += encode_batch(batch)
    (tmp_path / "run.pvtrace").write_bytes(trace)
    (tmp_path / "memory.pvtrace").write_bytes(plain.eventful_trace(streams))
    tests = (
        "feed.test.mjs",
        "words.test.mjs",
        "cells.test.mjs",
        "memory.test.mjs",
        "travel.test.mjs",
        "layout.test.mjs",
        "vocabulary.test.mjs",
        "kinds.test.mjs",
        "large.test.mjs",
    )
    run_node(*tests, PAGEDVIZ_CASES=tmp_path)
