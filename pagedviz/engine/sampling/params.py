"""What a request asks for, with vLLM's names, and how its next token is drawn. Knows nothing of requests.

Randomness has no state: the number that decides a token depends on seed, sample and position alone. So a
token does not depend on the batch it is drawn in, and a step that failed draws the same ones again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from pagedviz.engine.keywords import checked
from pagedviz.errors import RequestError

GREEDY_BELOW = 1e-5
"""As in vLLM: logits divided by less would overflow, and are as good as greedy."""


@checked(RequestError)
@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """How to continue a prompt.

    Attributes:
        n: samples per prompt; they share the prompt's blocks.
        max_tokens: generate at most this many tokens, 1 or more; None: until the model's or the pool's limit.
            Where it is above these, generation ends there; only several samples that do not fit are refused.
        temperature: 0 (or less than 1e-5) is greedy; otherwise logits are divided by it.
        top_k: keep the k likeliest tokens; 0 or -1 keeps all.
        top_p: keep the likeliest tokens that together have this probability; above 0, up to 1.
        min_p: drop tokens less likely than this share of the likeliest one's probability; 0 to 1.
        repetition_penalty: above 1 makes tokens of the prompt and the text so far less likely; above 0.
        seed: same seed, same tokens; None takes one from the engine's.
        stop: a string, or several, that end the text.
        stop_token_ids: tokens that end the text.
        logprobs: give the log probability of each token, and of this many likeliest ones; None: none.
        ignore_eos: go on after the model's end token.
        best_of: draw this many samples, and give the ``n`` with the highest cumulative log probability, best first.
        beam_width: search with this many beams, and give the ``n`` best; goes with greedy options only.
        length_penalty: beams are compared by score / length ** length_penalty. Beside ``beam_width`` only.
        early_stopping: True: the search ends when ``beam_width`` beams have ended; False: when no better one is
            likely to come; ``"never"``: when none can come. As in transformers. Beside ``beam_width`` only.
        preemption: ``"swap"``, ``"recompute"`` or ``"auto"`` for this request; None: as the engine's.
        priority: the higher, the less important, as in vLLM; for ``victim="priority"``.
        cache_salt: share cached blocks only with requests of the same salt, as in vLLM.

    Penalty, temperature, top-k, top-p and min-p are applied in this order, as in transformers.

    Raises:
        RequestError: a value is out of range; the message names it and the range.
    """

    n: int = 1
    max_tokens: int | None = 16
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    stop_token_ids: Sequence[int] | None = None
    logprobs: int | None = None
    ignore_eos: bool = False
    best_of: int | None = None
    beam_width: int | None = None
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    preemption: str | None = None
    priority: int = 0
    cache_salt: str = ""

    def __post_init__(self) -> None:
        _check_int("n", self.n, 1)
        _check_int("max_tokens", self.max_tokens, 1, none=True)
        _check_int("top_k", self.top_k, -1)
        _check_int("seed", self.seed, 0, none=True)
        _check_int("logprobs", self.logprobs, 0, none=True)
        _check_float("temperature", self.temperature, 0.0, math.inf)
        _check_float("top_p", self.top_p, 0.0, 1.0, above=True)
        _check_float("min_p", self.min_p, 0.0, 1.0)
        _check_float("repetition_penalty", self.repetition_penalty, 0.0, math.inf, above=True)
        stop = (self.stop,) if isinstance(self.stop, str) else _tuple("stop", self.stop)
        if not all(isinstance(text, str) and text for text in stop):
            raise RequestError(f"stop={self.stop!r}: must be strings that are not empty")
        ids = _tuple("stop_token_ids", self.stop_token_ids)
        for token in ids:
            _check_int("stop_token_ids", token, 0)
        self._check_search()
        object.__setattr__(self, "stop", stop)
        object.__setattr__(self, "stop_token_ids", ids)

    def _check_search(self) -> None:
        """What concerns several sequences of one request, and what happens to them."""
        _check_int("best_of", self.best_of, 1, none=True)
        _check_int("beam_width", self.beam_width, 1, none=True)
        for name, width in (("best_of", self.best_of), ("beam_width", self.beam_width)):
            if width is not None and width < self.n:
                raise RequestError(f"{name}={width} is less than n={self.n}: the best n of them are given")
        _check_float("length_penalty", self.length_penalty, -10.0, 10.0)
        if isinstance(self.priority, bool) or not isinstance(self.priority, int):
            raise RequestError(f"priority={self.priority!r}: must be a whole number")
        if not isinstance(self.cache_salt, str):
            raise RequestError(f"cache_salt={self.cache_salt!r}: must be a string")
        if self.preemption not in (None, "swap", "recompute", "auto"):
            raise RequestError(f"preemption={self.preemption!r}: must be 'swap', 'recompute', 'auto' or None")
        if not isinstance(self.early_stopping, bool) and self.early_stopping != "never":
            raise RequestError(f"early_stopping={self.early_stopping!r}: must be True, False or 'never'")
        if self.beam_width is None:
            penalty, stopping = (self.length_penalty, 1.0), (self.early_stopping, False)
            if idle := _differing({"length_penalty": penalty, "early_stopping": stopping}):
                raise RequestError(f"{idle} without beam_width: that concerns beam searches only")
            return
        excluded = {
            "temperature": (self.temperature if self.temperature >= GREEDY_BELOW else 1.0, 1.0),
            "top_k": (self.top_k if self.top_k != -1 else 0, 0),
            "top_p": (self.top_p, 1.0),
            "min_p": (self.min_p, 0.0),
            "repetition_penalty": (self.repetition_penalty, 1.0),
            "best_of": (self.best_of, None),
            "logprobs": (self.logprobs, None),
            "stop": (self.stop or None, None),
        }
        if clashes := _differing(excluded):
            raise RequestError(
                f"beam_width={self.beam_width} excludes {clashes}: a beam search is greedy; "
                "valid beside it: temperature=0, n, max_tokens, length_penalty, early_stopping, "
                "stop_token_ids, ignore_eos"
            )

    @property
    def searches(self) -> bool:
        """True for a beam search; one beam is no search, as in transformers."""
        return (self.beam_width or 1) > 1

    @property
    def width(self) -> int:
        """How many sequences the request may have at the same time."""
        return self.beam_width or self.best_of or self.n

    @property
    def greedy(self) -> bool:
        """True when the likeliest token is always taken."""
        return self.temperature < GREEDY_BELOW or self.beam_width is not None


def _check_int(name: str, value: Any, least: int, *, none: bool = False) -> None:
    if none and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise RequestError(f"{name}={value!r}: must be a whole number, {least} or more{' (or None)' * none}")


def _differing(options: Mapping[str, tuple[Any, Any]]) -> str:
    """Which options, name -> (value, default), are not left alone."""
    return ", ".join(f"{name}={value!r}" for name, (value, plain) in options.items() if value != plain)


def _tuple(name: str, values: Any) -> tuple[Any, ...]:
    if values is not None and (isinstance(values, (str, bytes)) or not isinstance(values, Iterable)):
        raise RequestError(f"{name}={values!r}: must be a list")
    return tuple(values or ())


def _check_float(name: str, value: Any, low: float, high: float, *, above: bool = False) -> None:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high or (above and value == low):
        least = f"above {low:g}" if above else f"{low:g} or more"
        most = "" if high == math.inf else f", at most {high:g}"
        raise RequestError(f"{name}={value!r}: must be a number, {least}{most}")


def uniform(seed: int, sample: int, position: int) -> float:
    """The number in [0, 1) that decides a token; the same for the same arguments, always (Philox 4x64)."""
    key = np.array([seed % 2**64, sample], dtype=np.uint64)
    bits = np.random.Philox(key=key, counter=[position, 0, 0, 0]).random_raw(1)
    return float(bits[0] >> np.uint64(11)) * 2.0**-53


def penalize(logits: torch.Tensor, tokens: Sequence[int], penalty: float) -> torch.Tensor:
    """Make ``tokens`` less likely (penalty above 1); ``logits`` (vocab_size,) float32. Keskar et al., CTRL."""
    ids = torch.tensor(sorted(set(tokens)), device=logits.device)
    chosen = logits[ids]
    return logits.index_copy(0, ids, torch.where(chosen > 0, chosen / penalty, chosen * penalty))


def distribution(logits: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """Probabilities (vocab_size,) float32 after temperature, top-k, top-p and min-p; at least one is not 0."""
    logits = logits / params.temperature
    if 0 < params.top_k < len(logits):
        least = logits.topk(params.top_k).values[-1]
        logits = logits.masked_fill(logits < least, -math.inf)
    probabilities = logits.softmax(-1)
    if params.top_p < 1:
        ordered, order = probabilities.sort(descending=True)
        # A token stays if those before it do not have enough: so the first always does.
        surplus = (ordered.cumsum(-1) - ordered) >= params.top_p
        probabilities = probabilities.index_fill(0, order[surplus], 0.0)
    if params.min_p > 0:
        least = params.min_p * probabilities.max()
        probabilities = probabilities.masked_fill(probabilities < least, 0.0)
    return probabilities


def draw(probabilities: torch.Tensor, number: float) -> int:
    """The token at ``number`` (in [0, 1)) of the way through the probabilities, which need not add up to 1."""
    steps = probabilities.double().cumsum(-1)
    index = int(torch.searchsorted(steps, number * steps[-1].item(), right=True))
    # Rounding can lead past the last token that has a probability.
    return min(index, int(probabilities.nonzero()[-1]))
