"""How logits are changed before a token is taken from them: for all rows that ask for it, at once.

Decides what each parameter means and in which order they are applied (vLLM's: allowed tokens, tokens that are not
possible yet, biases, penalties); the meaning of those that transformers has is its processors'. Rows do not touch
each other, so a row's result does not depend on its batch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch

from pagedviz.engine.sampling.defaults import Defaults
from pagedviz.engine.sampling.params import SamplingParams


@dataclass(frozen=True)
class Row:
    """Whose next token it is: what was asked for, and the tokens so far, ``num_prompt`` of them the prompt's."""

    params: SamplingParams
    tokens: Sequence[int]
    num_prompt: int

    @property
    def num_generated(self) -> int:
        """How many tokens were generated."""
        return len(self.tokens) - self.num_prompt


class Adjuster:
    """Changes logits as requests, and the model by default, ask for.

    Args:
        defaults: what the model asks for.
        eos: its end tokens.
    """

    def __init__(self, defaults: Defaults, eos: Collection[int]) -> None:
        self._defaults = defaults
        self._eos = frozenset(eos)
        self._always = bool(defaults.suppress or defaults.bad_words)

    def wanted(self, row: Row) -> bool:
        """Whether anything is to be changed; a request that asks for nothing costs no more than this."""
        params, generated = row.params, row.num_generated
        return (
            self._always
            or (not generated and bool(self._defaults.begin_suppress))
            or params.adjusts
            or self._penalty(params) != 1.0
            or generated < max(params.min_tokens, self._defaults.min_tokens)
        )

    def _penalty(self, params: SamplingParams) -> float:
        own = params.repetition_penalty
        return self._defaults.repetition_penalty if own is None else own

    def __call__(self, logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        """New logits (len(rows), vocab_size) in float32; what is not possible is -inf."""
        assert len(logits) == len(rows)
        logits = logits.to(torch.float32, copy=True)
        _allow(logits, [row.params.allowed_token_ids for row in rows])
        _set(logits, [(i, token, -math.inf) for i, row in enumerate(rows) for token in self._banned(row)])
        _add(logits, [(i, token, bias) for i, row in enumerate(rows) for token, bias in _biases(row.params)])
        _penalize(logits, rows, [self._penalty(row.params) for row in rows])
        _add(logits, [(i, token, less) for i, row in enumerate(rows) for token, less in _seen(row)])
        return logits

    def _banned(self, row: Row) -> Iterator[int]:
        """Tokens that are not possible at this place."""
        yield from self._defaults.suppress
        if not row.num_generated:
            yield from self._defaults.begin_suppress
        if row.num_generated < max(row.params.min_tokens, self._defaults.min_tokens):
            yield from self._eos
            yield from row.params.stop_token_ids or ()
        for word in self._defaults.bad_words:
            before = len(word) - 1
            if not before or tuple(row.tokens[-before:]) == word[:-1]:
                yield word[-1]


Change = tuple[int, int, float]
"""(row, token, value)."""


def _biases(params: SamplingParams) -> Collection[tuple[int, float]]:
    return (params.logit_bias or {}).items()


def _seen(row: Row) -> Iterator[tuple[int, float]]:
    """What frequency and presence of the generated tokens take from them."""
    frequency, presence = row.params.frequency_penalty, row.params.presence_penalty
    if frequency or presence:
        for token, count in Counter(row.tokens[row.num_prompt :]).items():
            yield token, -frequency * count - presence


def _allow(logits: torch.Tensor, allowed: Sequence[Sequence[int] | None]) -> None:
    picked = [i for i, tokens in enumerate(allowed) if tokens is not None]
    if not picked:
        return
    excluded = torch.ones((len(picked), logits.shape[1]), dtype=torch.bool, device=logits.device)
    pairs = [(place, token) for place, i in enumerate(picked) for token in allowed[i] or ()]
    places, tokens = torch.tensor(pairs, device=logits.device).unbind(1)
    excluded[places, tokens] = False
    logits[picked] = logits[picked].masked_fill(excluded, -math.inf)


def _set(logits: torch.Tensor, changes: Sequence[Change]) -> None:
    """A token that the model lacks, as an end token of another vocabulary, changes nothing."""
    _put(logits, [change for change in changes if change[1] < logits.shape[1]], accumulate=False)


def _add(logits: torch.Tensor, changes: Sequence[Change]) -> None:
    _put(logits, changes, accumulate=True)


def _put(logits: torch.Tensor, changes: Sequence[Change], *, accumulate: bool) -> None:
    if changes:
        where, tokens, values = zip(*changes, strict=True)
        index = torch.tensor([where, tokens], device=logits.device)
        numbers = torch.tensor(values, dtype=logits.dtype, device=logits.device)
        logits.index_put_((index[0], index[1]), numbers, accumulate=accumulate)


def _penalize(logits: torch.Tensor, rows: Sequence[Row], penalties: Sequence[float]) -> None:
    """Make tokens of prompt and answer less likely (penalty above 1). Keskar et al., CTRL."""
    found = [(i, token) for i, row in enumerate(rows) if penalties[i] != 1 for token in set(row.tokens)]
    if found:
        where, tokens = torch.tensor(found, device=logits.device).unbind(1)
        penalty = torch.tensor(penalties, dtype=logits.dtype, device=logits.device)[where]
        chosen = logits[where, tokens]
        logits[where, tokens] = torch.where(chosen > 0, chosen / penalty, chosen * penalty)
