"""The next token of every sequence that has reached its end, with its text, and whether it was the last.

Decides, and changes nothing: the engine applies the draws once the whole step has succeeded.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from pagedviz.engine.detokenize import TextState, advance
from pagedviz.engine.outputs import Logprob
from pagedviz.engine.request import Request, Sequence
from pagedviz.engine.sampling.beam_request import BeamDraw, draw_beams
from pagedviz.engine.sampling.draw import distribution, draw, penalize, uniform
from pagedviz.engine.sampling.faults import RequestFault, blaming, what_is_wrong
from pagedviz.engine.schedule.plan import Scheduled


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


class Sampler:
    """Draws tokens; ``eos`` are the model's end tokens."""

    def __init__(self, tokenizer: Any, eos: Many[int]) -> None:
        self._tokenizer = tokenizer
        self._eos = frozenset(eos)

    def sample(self, items: Many[Scheduled], logits: torch.Tensor) -> Sampled:
        """One draw per sequence whose last token was computed, and per sample that begins; one per beam search.

        Args:
            items: the step's work, in the batch's order.
            logits: (num_rows, vocab_size), a row per item that samples.
        """
        items = [item for item in items if item.samples]
        sampled = Sampled()
        if not items:
            return sampled
        # Not argmax: on a CPU it is several times slower for 16-bit rows, and both take the first of equals.
        most, likeliest = logits.max(-1)
        # One look finds every broken row: the largest number of a row with NaN is NaN.
        best = torch.where(most.isfinite(), likeliest, -1).tolist()
        beams: dict[Request, dict[Sequence, torch.Tensor]] = {}
        for item, row, token in zip(items, logits, best, strict=True):
            request = item.request
            if request in sampled.faults:
                continue
            if token < 0:
                fault = RequestFault(request, len(item.sequence.tokens), what_is_wrong(row))
                sampled.faults[request] = str(fault)
                continue
            if request.params.searches:
                beams.setdefault(request, {})[item.sequence] = row
                continue
            try:
                draws = [self._draw(request, sequence, row, token) for sequence in _receivers(item)]
                sampled.draws.extend(draws)
            except RequestFault as fault:
                sampled.faults[request] = str(fault)
        for request in [request for request in beams if request not in sampled.faults]:
            try:
                sampled.beams.append(self._search(request, beams[request]))
            except RequestFault as fault:
                sampled.faults[request] = str(fault)
        sampled.draws[:] = [draw for draw in sampled.draws if draw.request not in sampled.faults]
        return sampled

    def _search(self, request: Request, rows: dict[Sequence, torch.Tensor]) -> BeamDraw:
        params = request.params
        eos = frozenset(params.stop_token_ids or ()) | (frozenset() if params.ignore_eos else self._eos)
        running = request.unfinished()
        logits = torch.stack([rows[sequence] for sequence in running])
        read = functools.partial(self._text, request)
        with blaming(request, len(running[0].tokens)):
            return draw_beams(request, logits, eos, read)

    def _draw(self, request: Request, sequence: Sequence, row: torch.Tensor, best: int) -> Draw:
        params = request.params
        with blaming(request, len(sequence.tokens)):
            token = self._token(request, sequence, row, best)
        text, piece = self._text(request, sequence, token)
        reason, stop = self._ends(request, sequence, token)
        if reason is None or reason == "length":
            reason, stop, text = _find_stop(request, sequence.text, text) or (reason, stop, text)
        else:
            text = sequence.text  # a token that ends it is not shown, be it an ordinary word
        logprobs = None if params.logprobs is None else self._logprobs(row, token, params.logprobs)
        logprob = 0.0
        if logprobs is not None:
            logprob = logprobs[token].logprob
        elif params.best_of is not None or params.beam_width is not None:
            logprob = float(row.float().log_softmax(-1)[token])
        return Draw(request, sequence, token, text, piece, logprob, logprobs, reason, stop)

    def _token(self, request: Request, sequence: Sequence, row: torch.Tensor, best: int) -> int:
        params = request.params
        if params.greedy and params.repetition_penalty == 1:
            return best
        logits = row.float()
        if params.repetition_penalty != 1:
            logits = penalize(logits, sequence.tokens, params.repetition_penalty)
        if params.greedy:
            return int(logits.argmax())
        number = uniform(request.seed, sequence.index, len(sequence.tokens))
        return draw(distribution(logits, params), number)

    def _text(self, request: Request, sequence: Sequence, token: int) -> tuple[TextState, str]:
        if self._tokenizer is None:
            return sequence.text, ""
        # Tokenizers raise these for a token that they do not know. Any other error is not of this request alone.
        with blaming(request, len(sequence.tokens), (LookupError, ValueError, TypeError, ArithmeticError)):
            text = advance(self._tokenizer, sequence.text, [*sequence.tokens, token])
        return text, text.text[len(sequence.text.text) :]

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

    def _logprobs(self, row: torch.Tensor, token: int, count: int) -> dict[int, Logprob]:
        """The token's log probability and those of the ``count`` likeliest tokens."""
        all_ = row.float().log_softmax(-1)
        ranked = [(int(id_), rank + 1) for rank, id_ in enumerate(all_.topk(min(count, len(all_))).indices)]
        if token not in dict(ranked):
            ranked.insert(0, (token, int((all_ > all_[token]).sum()) + 1))
        decode = self._tokenizer.decode if self._tokenizer is not None else lambda _: None
        return {id_: Logprob(float(all_[id_]), rank, decode([id_])) for id_, rank in ranked}


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
