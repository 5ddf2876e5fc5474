"""What a request asks for, with vLLM's names. Checks values; how a token is drawn from them is `draw`'s."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pagedviz.engine.keywords import checked
from pagedviz.errors import RequestError
from pagedviz.values import flag, listed, plain, real, whole, wholes

GREEDY_BELOW = 1e-5
"""As in vLLM: logits divided by less would overflow, and are as good as greedy."""

WHOLE = (
    ("n", 1, False),
    ("max_tokens", 1, True),
    ("top_k", -1, False),
    ("seed", 0, True),
    ("logprobs", 0, True),
    ("best_of", 1, True),
    ("beam_width", 1, True),
    ("priority", None, False),
    ("min_tokens", 0, False),
    ("prompt_logprobs", 0, True),
)
"""Parameters that are whole numbers: the name, the least valid value, whether None is valid too."""

REAL = (
    ("temperature", 0.0, math.inf, False),
    ("top_p", 0.0, 1.0, True),
    ("min_p", 0.0, 1.0, False),
    ("repetition_penalty", 0.0, math.inf, True),
    ("presence_penalty", -2.0, 2.0, False),
    ("frequency_penalty", -2.0, 2.0, False),
    ("length_penalty", -10.0, 10.0, False),
)
"""Parameters that are real numbers: the name, the valid range, whether its lower end is outside."""


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
        repetition_penalty: above 1 makes tokens of the prompt and the text so far less likely; above 0. None: as
            the model's generation_config says, else 1.
        presence_penalty: is taken from the logits of tokens that were generated; -2 to 2.
        frequency_penalty: the same, as often as each was generated; -2 to 2.
        min_tokens: neither an end token nor anything of ``stop`` and ``stop_token_ids`` before so many tokens.
        logit_bias: token id -> what is added to its logit; as in vLLM, beyond -100 or 100 is as good as these.
        allowed_token_ids: no other tokens than these.
        seed: same seed, same tokens; None takes one from the engine's.
        stop: a string, or several, that end the text.
        stop_token_ids: tokens that end the text.
        logprobs: give the log probability of each token, and of this many likeliest ones; None: none.
        prompt_logprobs: the same for the tokens of the prompt. Such a request reads nothing from the prefix cache.
        ignore_eos: go on after the model's end token.
        best_of: draw this many samples, and give the ``n`` with the highest cumulative log probability, best first.
        beam_width: search with this many beams, and give the ``n`` best; goes with greedy options only.
        length_penalty: beams are compared by score / length ** length_penalty. Beside ``beam_width`` only.
        early_stopping: True: the search ends when ``beam_width`` beams have ended; False: when no better one is
            likely to come; ``"never"``: when none can come. As in transformers. Beside ``beam_width`` only.
        preemption: ``"swap"``, ``"recompute"`` or ``"auto"`` for this request; None: as the engine's.
        priority: the higher, the less important, as in vLLM; for ``victim="priority"``.
        cache_salt: share cached blocks only with requests of the same salt, as in vLLM.

    What is applied first comes first: allowed tokens, ``min_tokens``, biases, repetition, frequency and presence
    penalty, temperature, top-k, top-p and min-p. Log probabilities are the model's own, before all of these.

    Raises:
        RequestError: a value is out of range; the message names it and the range.
    """

    n: int = 1
    max_tokens: int | None = 16
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    min_tokens: int = 0
    logit_bias: Mapping[int, float] | None = field(default=None, hash=False)
    allowed_token_ids: Sequence[int] | None = None
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    stop_token_ids: Sequence[int] | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    ignore_eos: bool = False
    best_of: int | None = None
    beam_width: int | None = None
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    preemption: str | None = None
    priority: int = 0
    cache_salt: str = ""

    def __post_init__(self) -> None:
        self._make_plain()
        stop = (self.stop,) if isinstance(self.stop, str) else listed(self.stop or ())
        if stop is None:
            raise RequestError(f"stop={self.stop!r}: must be a list")
        if not all(isinstance(text, str) and text for text in stop):
            raise RequestError(f"stop={self.stop!r}: must be strings that are not empty")
        object.__setattr__(self, "stop", tuple(map(str, stop)))
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise RequestError(f"min_tokens={self.min_tokens} is more than max_tokens={self.max_tokens}")
        self._check_search()

    def _make_plain(self) -> None:
        """Every number becomes Python's own: nothing after this meets numpy's or torch's."""
        made: dict[str, Any] = {}
        for name, least, none in WHOLE:
            made[name] = whole(name, getattr(self, name), least, none=none, error=RequestError)
        for name, low, high, above in REAL:
            value = getattr(self, name)
            if value is not None or name != "repetition_penalty":
                made[name] = real(name, value, low, high, above=above, error=RequestError)
        made["ignore_eos"] = flag("ignore_eos", self.ignore_eos, error=RequestError)
        ids = () if self.stop_token_ids is None else self.stop_token_ids
        made["stop_token_ids"] = wholes("stop_token_ids", ids, 0, error=RequestError)
        made["logit_bias"] = _biases(self.logit_bias)
        if self.allowed_token_ids is not None:
            allowed = wholes("allowed_token_ids", self.allowed_token_ids, 0, error=RequestError)
            if not allowed:
                raise RequestError("allowed_token_ids=(): must name at least one token, or be None")
            made["allowed_token_ids"] = allowed
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def _check_search(self) -> None:
        """What concerns several sequences of one request, and what happens to them."""
        for name, width in (("best_of", self.best_of), ("beam_width", self.beam_width)):
            if width is not None and width < self.n:
                raise RequestError(f"{name}={width} is less than n={self.n}: the best n of them are given")
        if not isinstance(self.cache_salt, str):
            raise RequestError(f"cache_salt={self.cache_salt!r}: must be a string")
        object.__setattr__(self, "cache_salt", str(self.cache_salt))
        if self.preemption not in (None, "swap", "recompute", "auto"):
            raise RequestError(f"preemption={self.preemption!r}: must be 'swap', 'recompute', 'auto' or None")
        object.__setattr__(self, "early_stopping", plain(self.early_stopping))
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
            "repetition_penalty": (1.0 if self.repetition_penalty is None else self.repetition_penalty, 1.0),
            "presence_penalty": (self.presence_penalty, 0.0),
            "frequency_penalty": (self.frequency_penalty, 0.0),
            "min_tokens": (self.min_tokens, 0),
            "logit_bias": (self.logit_bias, None),
            "allowed_token_ids": (self.allowed_token_ids, None),
            "prompt_logprobs": (self.prompt_logprobs, None),
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
    def adjusts(self) -> bool:
        """True when some logits are changed at every token; ``min_tokens`` and ``repetition_penalty`` aside."""
        return bool(
            self.presence_penalty or self.frequency_penalty or self.logit_bias or self.allowed_token_ids is not None
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


def _biases(given: Any) -> dict[int, float] | None:
    """Token -> bias. Ids may be texts, as the keys of JSON are."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise RequestError(f"logit_bias={given!r}: must map token ids to numbers")
    made = {}
    for token, bias in given.items():
        id_ = int(token) if isinstance(token, str) and token.isascii() and token.isdigit() else token
        value = real("logit_bias", bias, -math.inf, error=RequestError)
        made[whole("logit_bias", id_, 0, error=RequestError)] = min(100.0, max(-100.0, value))
    return made or None


def _differing(options: Mapping[str, tuple[Any, Any]]) -> str:
    """Which options, name -> (value, default), are not left alone."""
    return ", ".join(f"{name}={value!r}" for name, (value, default) in options.items() if value != default)
