"""What a caller gets back, with vLLM's names. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Logprob:
    """A token's log probability under the model, before temperature, penalties and truncation.

    ``rank`` is 1 for the likeliest token. ``decoded_token`` is None without a tokenizer.
    """

    logprob: float
    rank: int
    decoded_token: str | None


@dataclass(frozen=True)
class CompletionOutput:
    """One sample of a request.

    Attributes:
        index: number of the sample, from 0.
        text: what was generated, without special tokens and without a stop string that ended it.
        token_ids: all generated tokens, the stop token included.
        cumulative_logprob: sum over the tokens; None unless ``logprobs``, ``best_of`` or beams were asked for.
        logprobs: per token, token id -> Logprob; None unless asked for.
        finish_reason: ``"stop"``, ``"length"``, ``"abort"``, ``"error"``, or None while it runs.
        stop_reason: the stop string or stop token id that ended it; None for the model's own end token.
        error: why it ended with ``"error"``, with the request and the position; else None.
    """

    index: int
    text: str
    token_ids: tuple[int, ...]
    cumulative_logprob: float | None
    logprobs: tuple[dict[int, Logprob], ...] | None
    finish_reason: str | None
    stop_reason: str | int | None
    error: str | None = None


@dataclass(frozen=True)
class RequestOutput:
    """A request and its samples so far.

    Attributes:
        prompt: None if it was given as token ids.
        prompt_logprobs: per token of the prompt, token id -> Logprob; None for the first. None unless asked for.
    """

    request_id: str
    prompt: str | None
    prompt_token_ids: tuple[int, ...]
    outputs: tuple[CompletionOutput, ...]
    finished: bool
    prompt_logprobs: tuple[dict[int, Logprob] | None, ...] | None = None

    @property
    def error(self) -> str | None:
        """Why it ended before it was done; None if it did not, or has not ended."""
        return next((output.error for output in self.outputs if output.error is not None), None)
