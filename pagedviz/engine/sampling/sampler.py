"""The next token of every sequence that has reached its end, with its text, and whether it was the last.

Decides, and changes nothing: the engine applies the draws once the whole step has succeeded.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from typing import Any

import torch

from pagedviz.engine.detokenize import TextState, advance
from pagedviz.engine.outputs import Logprob
from pagedviz.engine.request import Request, Sequence
from pagedviz.engine.sampling.beam_request import BeamDraw, draw_beams
from pagedviz.engine.sampling.draw import distribution, draw, penalize, uniform
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


class Sampler:
    """Draws tokens; ``eos`` are the model's end tokens."""

    def __init__(self, tokenizer: Any, eos: Many[int]) -> None:
        self._tokenizer = tokenizer
        self._eos = frozenset(eos)

    def sample(self, items: Many[Scheduled], logits: torch.Tensor) -> tuple[list[Draw], list[BeamDraw]]:
        """One draw per sequence whose last token was computed, and per sample that begins; one per beam search.

        Args:
            items: the step's work, in the batch's order.
            logits: (num_rows, vocab_size), a row per item that samples.
        """
        items = [item for item in items if item.samples]
        if not items:
            return [], []
        # Not argmax: on a CPU it is several times slower for 16-bit rows, and both take the first of equals.
        likeliest = logits.max(-1).indices.tolist()
        draws = []
        beams: dict[Request, dict[Sequence, torch.Tensor]] = {}
        for item, row, best in zip(items, logits, likeliest, strict=True):
            if item.request.params.searches:
                beams.setdefault(item.request, {})[item.sequence] = row
            else:
                draws += [self._draw(item.request, sequence, row, best) for sequence in _receivers(item)]
        return draws, [self._search(request, rows) for request, rows in beams.items()]

    def _search(self, request: Request, rows: dict[Sequence, torch.Tensor]) -> BeamDraw:
        params = request.params
        eos = frozenset(params.stop_token_ids or ()) | (frozenset() if params.ignore_eos else self._eos)
        logits = torch.stack([rows[sequence] for sequence in request.unfinished()])
        return draw_beams(request, logits, eos, self._text)

    def _draw(self, request: Request, sequence: Sequence, row: torch.Tensor, best: int) -> Draw:
        params = request.params
        token = best
        if not params.greedy or params.repetition_penalty != 1:
            logits = row.float()
            if params.repetition_penalty != 1:
                logits = penalize(logits, sequence.tokens, params.repetition_penalty)
            if params.greedy:
                token = int(logits.argmax())
            else:
                number = uniform(request.seed, sequence.index, len(sequence.tokens))
                token = draw(distribution(logits, params), number)
        text, piece = self._text(sequence, token)
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

    def _text(self, sequence: Sequence, token: int) -> tuple[TextState, str]:
        if self._tokenizer is None:
            return sequence.text, ""
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
