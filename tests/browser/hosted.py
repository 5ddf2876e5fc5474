"""A run that every host can show, and what its trace says of a step; imported by kernels."""

from __future__ import annotations

import json
import time

from tiny import tiny_engine

import pagedviz as pv


def make() -> pv.Session:
    """Slow enough to be met while it generates, with 30 steps behind it."""
    engine = tiny_engine(num_device_blocks=2048)
    engine_step = engine.step

    def step() -> object:
        time.sleep(0.03)
        return engine_step()

    engine.step = step
    session = pv.Session(engine)
    session.submit("one two three four five six seven eight nine ten eleven twelve", n=3, max_tokens=4000)
    session.submit("alpha beta gamma", max_tokens=8000)
    session.step(30)
    return session


def told(session: pv.Session, step: int) -> str:
    """What ``looking.seen_at`` finds on the page, as JSON."""
    state = session.trace.state_at(step)
    held = [f"{tier}:{number}" for tier, blocks in state.blocks.items() for number in blocks]
    return json.dumps([state.step, state.seq, sorted(held), [s.computed for s in state.sequences.values()]])
