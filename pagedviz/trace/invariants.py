"""What holds between the parts of any state: tables and holders name each other, and all ids exist.

A state built from events has it by construction; one read from a file is checked before anybody draws it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pagedviz.trace.state import State

MOST_BLOCKS = 2**31 - 1
"""Block tables on a device are int32, so a pool cannot have more."""


def contradictions(state: State) -> Iterator[str]:
    """What is wrong with the state, one sentence each; nothing if it is sound. Holds between two batches."""
    if state.block_size < 1:
        yield f"a block has {state.block_size} slots"
    yield from _pools(state)
    yield from _requests(state)
    yield from _sequences(state)
    yield from _tables(state)
    if "device" not in state.num_blocks:
        yield "there is no device pool"
    for tier in state.num_blocks.keys() - {"device", "host"}:
        yield f"there is no tier {tier!r}"


def _pools(state: State) -> Iterator[str]:
    for tier, size in state.num_blocks.items():
        if size < 0:
            yield f"the {tier} pool has {size} blocks"
        if size > MOST_BLOCKS:
            yield f"the {tier} pool has {size} blocks, and block tables name at most {MOST_BLOCKS}"
    for tier, held in state.blocks.items():
        size = state.num_blocks.get(tier, 0)
        for number, block in held.items():
            if not 0 <= number < size:
                yield f"block {number} is outside the {tier} pool of {size}"
            if not block.holders and not (block.hash and block.cached >= 0):
                yield f"{tier} block {number} is held by nobody, and not cached"


def _requests(state: State) -> Iterator[str]:
    for name, request in state.requests.items():
        if request.name != name:
            yield f"request {name!r} is called {request.name!r}"
        if not request.sequences:
            yield f"request {name!r} has no sequence"
        for number in request.sequences:
            if number not in state.sequences:
                yield f"request {name!r} has sequence {number}, which does not exist"
            elif state.sequences[number].request != name:
                yield f"request {name!r} has sequence {number} of request {state.sequences[number].request!r}"


def _sequences(state: State) -> Iterator[str]:
    for number, sequence in state.sequences.items():
        if sequence.id != number:
            yield f"sequence {number} is called {sequence.id}"
        request_of = state.requests.get(sequence.request)
        if request_of is None or request_of.sequences.count(number) != 1:
            yield f"sequence {number} belongs to request {sequence.request!r}, which does not have it once"
        if len(sequence.texts) != len(sequence.tokens):
            yield f"sequence {number} has {len(sequence.tokens)} tokens and {len(sequence.texts)} texts"
        if not 0 <= sequence.computed <= len(sequence.tokens):
            yield f"sequence {number} has {len(sequence.tokens)} tokens, {sequence.computed} in memory"


def _tables(state: State) -> Iterator[str]:
    for number, sequence in state.sequences.items():
        for group, table in sequence.tables.items():
            if table and table[-1] is None:
                yield f"the table of sequence {number} in group {group} ends with an absent entry"
    entries = Counter(
        (*entry, number, logical, group)
        for number, sequence in state.sequences.items()
        for group, logical, entry in sequence.entries()
    )
    held = Counter(
        (tier, number, owner, logical, block.group)
        for tier, blocks in state.blocks.items()
        for number, block in blocks.items()
        for owner, logical in block.holders
    )
    for tier, block, owner, logical, _ in entries - held:
        yield f"entry {logical} of sequence {owner} is {tier} block {block}, which does not know it"
    for tier, block, owner, logical, _ in held - entries:
        yield f"{tier} block {block} is held as entry {logical} of sequence {owner}, which lacks it"
