"""The next token of every sequence that has reached its end, with its text, and whether it was the last.

Decides, and changes nothing: the engine applies the draws once the whole step has succeeded.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from pagedviz.engine.detokenize import TextState, advance
from pagedviz.engine.outputs import Logprob
from pagedviz.engine.request import Request, Sequence
from pagedviz.engine.sampling.adjust import Adjuster, Row
from pagedviz.engine.sampling.beam_request import BeamDraw, draw_beams
from pagedviz.engine.sampling.defaults import Defaults
from pagedviz.engine.sampling.draw import distribution, draw, uniform
from pagedviz.engine.sampling.faults import RequestFault, blaming, what_is_wrong
from pagedviz.engine.sampling.logprobs import LogprobTable
from pagedviz.engine.schedule.plan import Scheduled
from pagedviz.values import sayable

OF_ONE_TOKEN = (LookupError, ValueError, TypeError, ArithmeticError)
"""What tokenizers raise for a token that they do not know. Other errors of theirs are not of one request alone."""


@dataclass(frozen=True)
class Draw:
    """A sequence's next token.

    Attributes:
        text: the sequence's text with it.
        piece: what the token adds to the text.
        logprob: the token's log probability, if it counts for ``best_of``, else 0.
        logprobs: its entry in ``CompletionOutput.logprobs``, or None.
        finish_reason: not None when it is the sequence's last token.
    """

    request: Request
    sequence: Sequence
    token: int
    text: TextState
    piece: str
    logprob: float
    logprobs: dict[int, Logprob] | None
    finish_reason: str | None
    stop_reason: str | int | None


@dataclass(frozen=True)
class Sampled:
    """What a step's logits led to. ``faults``: requests that cannot go on, each with the reason for a person."""

    draws: list[Draw] = field(default_factory=list)
    beams: list[BeamDraw] = field(default_factory=list)
    faults: dict[Request, str] = field(default_factory=dict)
    prompt_logprobs: dict[Request, list[dict[int, Logprob]]] = field(default_factory=dict)

    def blame(self, request: Request, position: int, row: torch.Tensor) -> None:
        """No token can be taken from this row."""
        self.faults.setdefault(request, str(RequestFault(request, position, what_is_wrong(row))))

    @contextlib.contextmanager
    def unless_faulty(self, request: Request) -> Iterator[None]:
        """A fault of the request in here is noted, the first of them."""
        try:
            yield
        except RequestFault as fault:
            self.faults.setdefault(request, str(fault))


class Sampler:
    """Draws tokens.

    Args:
        tokenizer: None: no texts.
        eos: the model's end tokens.
        defaults: what the model asks for in every answer.
    """

    def __init__(self, tokenizer: Any, eos: Many[int], defaults: Defaults | None = None) -> None:
        self._tokenizer = tokenizer
        self._eos = frozenset(eos)
        self._adjuster = Adjuster(defaults or Defaults(), eos)
        self._logprobs = LogprobTable(tokenizer)

    def sample(self, items: Many[Scheduled], logits: torch.Tensor) -> Sampled:
        """One draw per sequence whose last token was computed, and per sample that begins; one per beam search.

        Args:
            items: the step's work, in the batch's order.
            logits: (num_rows, vocab_size), the rows that each item wants.
        """
        sampled = Sampled()
        logits = self._read_prompts(items, logits, sampled)
        samples = [item for item in items if item.samples]
        if not samples:
            return sampled
        jobs: list[_Job] = []
        beams: dict[Request, dict[Sequence, torch.Tensor]] = {}
        for item, row, best in zip(samples, logits, likeliest(logits), strict=True):
            request = item.request
            if best < 0:
                sampled.blame(request, len(item.sequence.tokens), row)
            elif request.params.searches:
                beams.setdefault(request, {})[item.sequence] = row
            else:
                jobs += [_Job(request, sequence, row, row, best) for sequence in _receivers(item)]
        self._adjust(jobs, sampled)
        for job in [job for job in jobs if job.request not in sampled.faults]:
            with sampled.unless_faulty(job.request):
                sampled.draws.append(self._draw(job))
        for request in [request for request in beams if request not in sampled.faults]:
            with sampled.unless_faulty(request):
                sampled.beams.append(self._search(request, beams[request]))
        sampled.draws[:] = [draw for draw in sampled.draws if draw.request not in sampled.faults]
        return sampled

    def _read_prompts(self, items: Many[Scheduled], logits: torch.Tensor, sampled: Sampled) -> torch.Tensor:
        """Note the log probabilities of prompts; returns the other rows, from which tokens are drawn."""
        if all(item.request.params.prompt_logprobs is None for item in items):
            return logits
        at, kept = 0, []
        for item in items:
            count = item.num_prompt_rows
            if count:
                self._read_prompt(item, logits[at : at + count], sampled)
            at += count
            kept += [at] * item.samples
            at += item.samples
        return logits[kept]

    def _read_prompt(self, item: Scheduled, rows: torch.Tensor, sampled: Sampled) -> None:
        begin = item.start + item.wanted[0] + 1
        broken = [place for place, best in enumerate(likeliest(rows)) if best < 0]
        if broken:
            sampled.blame(item.request, begin + broken[0], rows[broken[0]])
            return
        tokens, count = item.sequence.tokens[begin : begin + len(rows)], item.request.params.prompt_logprobs or 0
        with sampled.unless_faulty(item.request), blaming(item.request, begin, OF_ONE_TOKEN):
            sampled.prompt_logprobs[item.request] = self._logprobs(rows, tokens, count)

    def _adjust(self, jobs: Many[_Job], sampled: Sampled) -> None:
        """Change the logits of those that ask for it, all at once."""
        asking = [job for job in jobs if self._adjuster.wanted(job.asks)]
        if not asking:
            return
        rows = self._adjuster(torch.stack([job.row for job in asking]), [job.asks for job in asking])
        for job, row, best in zip(asking, rows, likeliest(rows), strict=True):
            job.row, job.best = row, best
            if best < 0:
                sampled.blame(job.request, len(job.sequence.tokens), row)

    def _search(self, request: Request, rows: dict[Sequence, torch.Tensor]) -> BeamDraw:
        params = request.params
        eos = frozenset(params.stop_token_ids or ()) | (frozenset() if params.ignore_eos else self._eos)
        running = request.unfinished()
        asks = [Row(params, sequence.tokens, sequence.num_prompt) for sequence in running]
        adjust = functools.partial(self._adjuster, rows=asks) if self._adjuster.wanted(asks[0]) else None
        logits = torch.stack([rows[sequence] for sequence in running])
        return draw_beams(request, logits, eos, functools.partial(self._text, request), adjust)

    def _draw(self, job: _Job) -> Draw:
        request, sequence, params = job.request, job.sequence, job.request.params
        token = job.best
        if not params.greedy:
            with blaming(request, len(sequence.tokens)):
                number = uniform(request.seed, sequence.index, len(sequence.tokens))
                token = draw(distribution(job.row.float(), params), number)
        text, piece = self._text(request, sequence, token)
        reason, stop = self._ends(request, sequence, token)
        if reason == "stop":
            text = sequence.text  # a token that ends it is not shown, be it an ordinary word
        elif sequence.num_generated + 1 > params.min_tokens:
            reason, stop, text = _find_stop(request, sequence.text, text) or (reason, stop, text)
        logprobs, logprob = None, 0.0
        if params.logprobs is not None:
            with blaming(request, len(sequence.tokens), OF_ONE_TOKEN):
                logprobs = self._logprobs(job.own[None], [token], params.logprobs)[0]
            logprob = logprobs[token].logprob
        elif params.best_of is not None or params.beam_width is not None:
            logprob = float(job.own.float().log_softmax(-1)[token])
        return Draw(request, sequence, token, text, piece, logprob, logprobs, reason, stop)

    def _text(self, request: Request, sequence: Sequence, token: int) -> tuple[TextState, str]:
        if self._tokenizer is None:
            return sequence.text, ""
        with blaming(request, len(sequence.tokens), OF_ONE_TOKEN):
            text = advance(self._tokenizer, sequence.text, [*sequence.tokens, token])
        return text, sayable(text.text[len(sequence.text.text) :])

    def _ends(self, request: Request, sequence: Sequence, token: int) -> tuple[str | None, str | int | None]:
        """Whether the token itself, or the number of tokens, ends the sequence."""
        params = request.params
        if token in self._eos and not params.ignore_eos:
            return "stop", None
        if token in (params.stop_token_ids or ()):
            return "stop", token
        if sequence.num_generated + 1 >= request.max_tokens:
            return "length", None
        return None, None


@dataclass
class _Job:
    """A sequence that gets a token: from ``row``, whose likeliest is ``best``; ``own`` is as the model gave it."""

    request: Request
    sequence: Sequence
    own: torch.Tensor
    row: torch.Tensor
    best: int

    @property
    def asks(self) -> Row:
        return Row(self.request.params, self.sequence.tokens, self.sequence.num_prompt)


def likeliest(logits: torch.Tensor) -> list[int]:
    """The likeliest token of each row, the first of equals; -1 for a row that has no number to go by."""
    # Not argmax: on a CPU it is several times slower for 16-bit rows, and both take the first of equals.
    most, tokens = logits.max(-1)
    # One look finds every broken row: the largest number of a row with NaN is NaN.
    found: list[int] = torch.where(most.isfinite(), tokens, -1).tolist()
    return found


def _receivers(item: Scheduled) -> list[Sequence]:
    """Who gets a token from this row: the sequence, and at the end of a prompt all samples of the request."""
    if item.request.forked or item.sequence.num_generated:
        return [item.sequence]
    return item.request.unfinished()


def _find_stop(request: Request, before: TextState, text: TextState) -> tuple[str, str, TextState] | None:
    """The stop string that the newest text completes, if any, with the text cut before it."""
    found = []
    for stop in request.params.stop or ():
        at = text.text.find(stop, max(0, len(before.text) - len(stop) + 1))
        if at >= 0:
            found.append((at, stop))
    if not found:
        return None
    at, stop = min(found)
    return "stop", stop, replace(text, text=text.text[:at])
