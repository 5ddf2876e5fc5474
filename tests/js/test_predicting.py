"""Predict mode in the browser against Python: what the future holds, and whether a guess was right."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from pagedviz.errors import SessionError
from pagedviz.events import GUESSED, AnyEvent, BlockEvicted, BlockFilled, PrefixHit, RequestScheduled
from pagedviz.session.predictions import Pick, Predictions, Upcoming
from pagedviz.trace import State, Trace, apply

from .test_node import TIMES, pytestmark, run_node  # noqa: F401 - the mark


def traces(streams) -> Iterator[tuple[str, Trace]]:
    for seed in range(12 * TIMES):
        yield f"run-{seed}", streams.trace_of(streams.random_run(seed, groups=1 + seed % 2))
    for seed in range(3 * TIMES):
        yield f"paging-{seed}", streams.trace_of(streams.paging_run(seed, groups=1 + seed % 2))


def states_before_events(trace: Trace) -> Iterator[tuple[int, AnyEvent, State]]:
    state = trace.start.copy()
    for batch in trace.batches:
        state.step = batch.step
        for event in batch.events:
            yield batch.step, event, state
            apply(state, event)


def lookups(trace: Trace) -> Iterator[tuple[int, int, tuple[int, str]]]:
    """(number of the event, step, content) for all that is looked for in the cache, found or computed."""
    known: dict[int, int] = {}
    for at, (step, event, state) in enumerate(states_before_events(trace)):
        match event:
            case RequestScheduled():
                # What a sequence begins to run with, unless it only comes back from the host.
                running = [state.sequences[number] for number in state.requests[event.request].sequences]
                known.update({s.id: len(s.tokens) for s in running if not s.computed})
            case BlockFilled():
                end = (event.logical + 1) * state.block_size
                is_new = state.blocks[event.tier][event.block].hash != event.hash
                if is_new and end < known.get(event.sequence, 0):
                    yield at, step, (event.group, event.hash)
            case PrefixHit():
                for group, logical, (tier, block) in state.sequences[event.sequence].entries():
                    if logical < event.blocks:
                        yield at, step, (group, state.blocks[tier][block].hash)
            case _:
                pass


def futures(trace: Trace) -> dict[int, dict[int, int | None]]:
    """For each step, the idle device blocks at its first eviction, and when their content is looked for next."""
    found: dict[int, dict[int, int | None]] = {}
    uses = list(lookups(trace))
    for at, (step, event, state) in enumerate(states_before_events(trace)):
        if not isinstance(event, BlockEvicted) or event.tier != "device" or step in found:
            continue
        idle = {number: (b.group, b.hash) for number, b in state.blocks["device"].items() if not b.holders}
        found[step] = {
            number: next((when for where, when, content in uses if where >= at and content == own), None)
            for number, own in idle.items()
        }
    return found


def test_belady_knows_when_each_content_is_asked_for_next(tmp_path, streams):
    seen = set()
    for name, trace in traces(streams):
        (tmp_path / f"{name}.pvtrace").write_bytes(trace.to_bytes())
        needed = futures(trace)
        seen |= {at is None for step in needed.values() for at in step.values()}
        (tmp_path / f"{name}.json").write_text(json.dumps(needed))
    assert seen == {True, False}
    run_node("belady.test.mjs", PAGEDVIZ_CASES=tmp_path)


def guesses(trace: Trace, dice: random.Random) -> Iterator[dict[str, object]]:
    """For each step that decides something, some guesses and what Python says of them."""
    for step in range(trace.first_step + 1, trace.last_step + 1):
        batches = [batch for batch in trace.batches if batch.step == step]
        events = [event for batch in batches for event in batch.events]
        kinds = [
            kind
            for kind in GUESSED
            if any(type(e).__name__ == kind and (kind != "SwappedOut" or e.request) for e in events)
        ]
        if not kinds:
            continue
        state = trace.state_at(step - 1)
        requests = {number: sequence.request for number, sequence in state.sequences.items()}
        blocks = {number: [entry for _, _, entry in s.entries()] for number, s in state.sequences.items()}
        picks = [Pick(block, tier) for tier, held in state.blocks.items() for block in held]
        picks += [Pick(request=name) for name in state.requests]
        for pick in dice.sample(picks, min(12 if TIMES > 1 else 4, len(picks))):
            predictions = Predictions()
            predictions.ask(step, tuple(kinds), requests, blocks)
            assert predictions.upcoming == Upcoming(step, tuple(kinds))
            terms = {term for kind in kinds for term in GUESSED[kind]}
            if ("block" if pick.block is not None else "request") not in terms:
                yield {"step": step, "guess": given(pick), "right": None}
                continue
            try:
                predictions.take(pick)
            except SessionError:  # it is asked who, and several requests have the block
                yield {"step": step, "guess": given(pick), "right": None}
                continue
            predictions.judge(batches, over=True)
            yield {"step": step, "guess": given(pick), "right": predictions.made[-1].right}


def given(pick: Pick) -> dict[str, object]:
    return {"tier": pick.tier, "block": pick.block} if pick.block is not None else {"request": pick.request}


def test_both_twins_judge_a_guess_alike(tmp_path, streams):
    verdicts = set()
    for name, trace in traces(streams):
        (tmp_path / f"{name}.pvtrace").write_bytes(trace.to_bytes())
        made = list(guesses(trace, random.Random(name)))
        verdicts |= {guess["right"] for guess in made}
        (tmp_path / f"{name}.json").write_text(json.dumps(made))
    assert verdicts == {True, False, None}
    run_node("guesses.test.mjs", PAGEDVIZ_CASES=tmp_path)
