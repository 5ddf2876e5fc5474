"""The requests that a trace tells of, token by token, to be served again. Serves nothing itself.

They come in the order in which they began to run. What a trace does not say is not there either: a beam search
is its prompt and what its first beam wrote, blocks that were cached before the recording began are unknown, and
the cache is never reset. A request that never ran is left out; one that was aborted is served to its last token.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pagedviz.events import (
    AnyEvent,
    BlockAllocated,
    BlockFilled,
    BlockShared,
    RequestAdded,
    RequestScheduled,
    StepStarted,
    TokenAppended,
)
from pagedviz.lab.workloads import TokenRequest
from pagedviz.memory.content import chained_hashes
from pagedviz.trace import Trace


@dataclass
class _Told:
    """What was told of the requests so far: ids of their sequences, all tokens, names of first blocks."""

    sequences: dict[str, list[int]] = field(default_factory=dict)
    num_prompt: dict[str, int] = field(default_factory=dict)
    tokens: dict[int, list[int]] = field(default_factory=dict)
    order: dict[str, None] = field(default_factory=dict)
    names: dict[tuple[str, int], str] = field(default_factory=dict)
    first_block: dict[int, str] = field(default_factory=dict)

    def follow(self, event: AnyEvent) -> None:
        match event:
            case RequestAdded():
                self.sequences[event.request] = list(event.sequences)
                self.num_prompt[event.request] = len(event.prompt)
                self.tokens.update({sequence: list(event.prompt) for sequence in event.sequences})
            case RequestScheduled():
                self.order.setdefault(event.request)
            case TokenAppended() if event.sequence in self.tokens:
                self.tokens[event.sequence].append(event.token)
            case BlockFilled():
                self.names[event.tier, event.block] = event.hash
                if event.logical == 0:
                    self.first_block.setdefault(event.sequence, event.hash)
            case BlockShared() if event.logical == 0 and (event.tier, event.block) in self.names:
                self.first_block.setdefault(event.sequence, self.names[event.tier, event.block])
            case _:
                pass


def recorded_requests(trace: Trace) -> tuple[TokenRequest, ...]:
    """The requests of a trace; those that ran when it began come first."""
    blocks = trace.start.blocks.items()
    told = _Told(names={(tier, number): block.hash for tier, held in blocks for number, block in held.items()})
    for name, request in trace.start.requests.items():
        if request.status == "finished":
            continue
        told.sequences[name] = list(request.sequences)
        told.num_prompt[name] = request.num_prompt
        told.tokens.update({number: list(trace.start.sequences[number].tokens) for number in request.sequences})
        if request.status != "waiting":
            told.order.setdefault(name)
    for event in trace.events:
        told.follow(event)
    size = trace.info.block_size
    return tuple(_request(told, name, size) for name in told.order if name in told.sequences)


def groups_of(trace: Trace) -> int:
    """How many block tables a sequence has; what events tell of where the header does not say."""
    if trace.info.groups is not None:
        return len(trace.info.groups)
    groups = [event.group for event in trace.events if isinstance(event, BlockAllocated)]
    tables = [group for sequence in trace.start.sequences.values() for group in sequence.tables]
    return 1 + max((*groups, *tables), default=0)


def longest_step(trace: Trace) -> int:
    """The most tokens that one step computed: an engine's budget, if a prompt ever was longer; 1 or more."""
    steps = (event.scheduled for event in trace.events if isinstance(event, StepStarted))
    return max((sum(count for *_, count in scheduled) for scheduled in steps), default=1) or 1


def _request(told: _Told, name: str, block_size: int) -> TokenRequest:
    length, leader = told.num_prompt[name], told.sequences[name][0]
    prompt = tuple(told.tokens[leader][:length])
    outputs = tuple(tuple(told.tokens[sequence][length:]) for sequence in told.sequences[name])
    # A trace tells no salts, but names that depend on them: equal first blocks of equal salts have equal names.
    there = told.first_block.get(leader, "")
    tokens = told.tokens[leader]
    plain = chained_hashes(tokens, block_size, min(block_size, len(tokens)), ())
    return TokenRequest(prompt, outputs, there if there and plain != [there] else "")
