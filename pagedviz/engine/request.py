"""A request, its sequences, and where each of them stands. Data, and questions about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pagedviz.engine.detokenize import TextState
from pagedviz.engine.outputs import CompletionOutput, Logprob, RequestOutput
from pagedviz.engine.sampling.hypotheses import BeamState
from pagedviz.engine.sampling.params import SamplingParams
from pagedviz.memory.eviction import Key


class RequestStatus(Enum):
    """Where a request stands; a preempted request waits again, a swapped one with its blocks in the host tier."""

    WAITING = "waiting"
    SWAPPED = "swapped"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(eq=False)
class Sequence:
    """One stream of tokens.

    Attributes:
        id: unique in the engine.
        index: number of the sample within its request.
        tokens: the prompt's, then the generated ones.
        computed: how many of them have their K and V in memory.
        reached: how many of them have had that before a preemption gave it up; 0 if none did.
    """

    id: int
    index: int
    num_prompt: int
    tokens: list[int]
    computed: int = 0
    reached: int = 0
    text: TextState = field(default_factory=TextState)
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)
    cumulative_logprob: float = 0.0
    finish_reason: str | None = None
    stop_reason: str | int | None = None

    @property
    def num_generated(self) -> int:
        """How many tokens were generated."""
        return len(self.tokens) - self.num_prompt


@dataclass(eq=False)
class Request:
    """A prompt with its sampling parameters and one sequence per sample.

    Attributes:
        forked: True once every sample has blocks; before, only the first unfinished one (the leader) runs.
        preemptions: how often its blocks were taken away.
        number: of the request in the order in which they came.
        prompt_logprobs: those that are known so far, if they were asked for.
        named: the content that its sequences have put into the cache.
        error: why it cannot go on; None if it can.
        search: where its beam search stands; ``sequences`` are the running beams, then the finished ones, as there.
    """

    id: str
    prompt: str | None
    prompt_token_ids: tuple[int, ...]
    params: SamplingParams
    seed: int
    max_tokens: int
    sequences: list[Sequence]
    status: RequestStatus = RequestStatus.WAITING
    forked: bool = False
    preemptions: int = 0
    number: int = 0
    search: BeamState = field(default_factory=BeamState)
    prompt_logprobs: list[dict[int, Logprob] | None] = field(default_factory=lambda: [None])
    named: set[Key] = field(default_factory=set)
    error: str | None = None

    def seats(self) -> int:
        """How many sequences it may run at the same time."""
        return self.params.width if self.params.searches else len(self.unfinished())

    def unfinished(self) -> list[Sequence]:
        """The sequences that still produce tokens."""
        return [sequence for sequence in self.sequences if sequence.finish_reason is None]

    def active(self) -> list[Sequence]:
        """The sequences to run next: the leader, and once it has computed the prompt all the others too."""
        unfinished = self.unfinished()
        return unfinished if self.forked else [self.leader()]

    def leader(self) -> Sequence:
        """The unfinished sequence that computes the prompt; the others fork from it."""
        return min(self.unfinished(), key=lambda sequence: sequence.id)

    @property
    def reads_cache(self) -> bool:
        """Whether it may begin with blocks that are found; their tokens have no logits, which it may want."""
        return self.params.prompt_logprobs is None or len(self.prompt_logprobs) == len(self.prompt_token_ids)

    @property
    def in_step(self) -> bool:
        """True for running beams: all of them get their next token in the same step, or none."""
        return len(self.search.running) > 1

    def output(self) -> RequestOutput:
        """The request as its caller sees it now."""
        outputs = [self._completion(index, sequence) for index, sequence in enumerate(self._best())]
        if self.error is not None:  # a search may have had fewer beams than are wanted by then
            for index in range(len(outputs), self.params.n):
                none = Sequence(-1, index, len(self.prompt_token_ids), [*self.prompt_token_ids])
                none.finish_reason = "error"
                outputs.append(self._completion(index, none))
        return RequestOutput(
            self.id,
            self.prompt,
            self.prompt_token_ids,
            tuple(outputs),
            self.status is RequestStatus.FINISHED,
            None if self.params.prompt_logprobs is None else tuple(self.prompt_logprobs),
        )

    def _best(self) -> list[Sequence]:
        """The samples that the caller gets: all, or the likeliest of more once they have ended."""
        ranked = self.sequences
        if self.params.best_of is not None and self.status is RequestStatus.FINISHED:
            ranked = sorted(ranked, key=lambda sequence: -sequence.cumulative_logprob)
        return ranked[: self.params.n]

    def _visible(self, sequence: Sequence) -> str:
        """The text, without an end that may yet turn out to be the beginning of a stop string."""
        text = sequence.text.text
        if sequence.finish_reason is not None:
            return text
        stops = self.params.stop or ()
        for length in range(min(len(text), max(map(len, stops), default=1) - 1), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in stops):
                return text[:-length]
        return text

    def _completion(self, index: int, sequence: Sequence) -> CompletionOutput:
        params = self.params
        wanted = params.logprobs is not None
        summed = wanted or params.best_of is not None or params.beam_width is not None
        return CompletionOutput(
            index,
            self._visible(sequence),
            tuple(sequence.tokens[sequence.num_prompt :]),
            sequence.cumulative_logprob if summed else None,
            tuple(sequence.logprobs) if wanted else None,
            sequence.finish_reason,
            sequence.stop_reason,
            self.error if sequence.finish_reason == "error" else None,
        )
