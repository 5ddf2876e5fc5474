"""Random but valid streams of memory events, and the traces that they make: what a toy did, from one seed.

The toy (``toy_scheduler``, ``toy_memory``, ``toy_blocks``) works on bare lists and is independent of the engine and
the block manager, but emits every kind of event in the order in which they do.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from pagedviz.events.codec import EngineInfo, LayerGroup
from pagedviz.trace import State, Trace

# This file is loaded by its path: it has no package.
for _name in ("toy_blocks", "toy_memory", "toy_scheduler", "toy_paging"):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])

from toy_paging import PagingToy  # noqa: E402 - it is there from here on
from toy_scheduler import Toy  # noqa: E402 - it is there from here on


def info_of(toy: Toy | PagingToy) -> EngineInfo:
    """What a toy says of itself."""
    return EngineInfo(
        model="toy",
        block_size=toy.block_size,
        num_device_blocks=toy.num_blocks,
        num_host_blocks=toy.num_host,
        groups=tuple(LayerGroup((group,)) for group in range(toy.groups)),
        num_kv_heads=3,
        head_dim=64,
        dtype="float32",
        device="cpu",
        simulated=True,
        attention="reference",
        bytes_per_block=toy.block_size * 3 * 64 * 8,
        pagedviz="0.0.0",
    )


def start_of(toy: Toy | PagingToy) -> State:
    """The state in which a toy begins."""
    return State(toy.block_size, {"device": toy.num_blocks, "host": toy.num_host})


def trace_of(toy: Toy | PagingToy) -> Trace:
    """What a toy has done."""
    return Trace(info_of(toy), start_of(toy), toy.batches)


def random_run(seed: int, *, steps: int = 40, **options: int) -> Toy:
    """A toy with these options that has run for some steps, with requests that come and go."""
    toy = Toy(seed, **options)
    longest = max(1, toy.num_blocks * toy.block_size // toy.groups // 3)
    for _ in range(steps):
        if toy.random.random() < 0.25:
            prompt = toy.random.randint(1, max(1, longest // 2))
            limit = toy.random.randint(1, max(1, longest - prompt))
            samples, beams = toy.random.choice(((1, 0), (1, 0), (2, 0), (3, 0), (1, 2), (1, 3)))
            toy.add(prompt, limit, samples, beams)
            if toy.random.random() < 0.5:
                toy.publish()
        if toy.random.random() < 0.03:
            toy.abort()
        if toy.random.random() < 0.02:
            toy.reset()
        toy.step()
    return toy


def paging_run(seed: int, *, steps: int = 30, **options: int) -> PagingToy:
    """A toy whose tables have absent entries, and entries in both tiers."""
    toy = PagingToy(seed, **options)
    for _ in range(steps):
        toy.take_step()
    return toy


def golden_run() -> Toy:
    """A run of a few steps in which everything happens: every kind of event, both ways to preempt, odd texts."""
    toy = Toy(90, num_blocks=8, num_host=6)
    toy.add(prompt=6, limit=9, samples=2)
    toy.add(prompt=5, limit=8)
    toy.publish()
    while any(job.status != "finished" for job in toy.jobs):
        if toy.step_number == 5:
            toy.add(prompt=9, limit=5, beams=2)
        toy.step(budget=8)
    toy.reset()
    return toy
