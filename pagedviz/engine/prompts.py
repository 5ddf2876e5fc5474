"""A prompt and its parameters become a request, or an error that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.detokenize import begin, pieces
from pagedviz.engine.request import Request
from pagedviz.engine.request import Sequence as RequestSequence
from pagedviz.engine.sampling import SamplingParams
from pagedviz.errors import RequestError
from pagedviz.models.spec import ModelSpec

Prompt = Union[str, Sequence[int]]
Prompts = Union[Prompt, Sequence[Prompt]]


def as_list(prompts: Prompts) -> list[Prompt]:
    """One prompt or several, as a list of prompts."""
    if isinstance(prompts, str):
        return [prompts]
    many: list[Any] = prompts.tolist() if hasattr(prompts, "tolist") else list(prompts)
    return [many] if many and all(isinstance(item, int) for item in many) else many


def new_request(
    prompt: Prompt,
    params: SamplingParams | Mapping[str, Any] | None,
    sampling: Mapping[str, Any],
    *,
    request_id: str,
    first_sequence: int,
    tokenizer: Any,
    spec: ModelSpec,
    config: EngineConfig,
) -> tuple[Request, tuple[str, ...]]:
    """A request with its sequences, and its prompt's text piece by piece.

    Raises:
        RequestError: the prompt is empty, too long, or has unknown token ids, or a parameter is at fault.
    """
    params = _params(params, sampling)
    tokens = _token_ids(prompt, tokenizer, spec.vocab_size)
    longest = config.num_slots // len(spec.groups)
    if len(tokens) > longest:
        raise RequestError(
            f"the prompt has {len(tokens)} tokens, and the pool can never hold more than {longest} "
            f"({config.num_device_blocks} blocks of {config.block_size}"
            + (f", shared by {len(spec.groups)} groups of layers" if len(spec.groups) > 1 else "")
            + "): shorten it, or raise num_device_blocks"
        )
    if spec.max_positions is not None and len(tokens) > spec.max_positions:
        raise RequestError(f"the prompt has {len(tokens)} tokens, and the model takes at most {spec.max_positions}")
    # The last token that is drawn needs no slot: its K and V would be computed by the next step.
    room = min(longest, spec.max_positions or longest) + 1 - len(tokens)
    max_tokens = room if params.max_tokens is None else min(params.max_tokens, room)
    _check_samples(params.n, len(tokens), max_tokens, spec, config)
    request = Request(
        id=request_id,
        prompt=prompt if isinstance(prompt, str) else None,
        prompt_token_ids=tuple(tokens),
        params=params,
        seed=config.seed + first_sequence if params.seed is None else params.seed,
        max_tokens=max_tokens,
        sequences=[
            RequestSequence(first_sequence + index, index, len(tokens), list(tokens), text=begin(len(tokens)))
            for index in range(params.n)
        ],
    )
    return request, pieces(tokenizer, tokens)


def _params(params: Any, sampling: Mapping[str, Any]) -> SamplingParams:
    if params is None:
        return SamplingParams(**sampling)
    if sampling:
        raise RequestError(f"give SamplingParams or keywords ({', '.join(sampling)}), not both")
    if isinstance(params, Mapping):
        return SamplingParams(**params)
    if not isinstance(params, SamplingParams):
        raise RequestError(f"params={params!r}: must be a SamplingParams")
    return params


def _token_ids(prompt: Any, tokenizer: Any, vocab_size: int) -> list[int]:
    if isinstance(prompt, str):
        if tokenizer is None:
            raise RequestError("the prompt is a text and the engine has no tokenizer: give token ids")
        prompt = tokenizer(prompt)["input_ids"]
    elif hasattr(prompt, "tolist"):
        prompt = prompt.tolist()
    if not isinstance(prompt, Sequence):
        raise RequestError(f"the prompt is a {type(prompt).__name__}: must be a text or a list of token ids")
    if not prompt:
        raise RequestError("the prompt is empty: it must have at least one token")
    for token in prompt:
        if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < vocab_size:
            raise RequestError(
                f"the prompt has token id {token!r}: must be whole numbers from 0 to {vocab_size - 1}"
            )
    return list(prompt)


def _check_samples(n: int, prompt: int, max_tokens: int, spec: ModelSpec, config: EngineConfig) -> None:
    """Samples run together, so together they must fit: each may need its own copy of all that is not shared."""
    if n > config.max_num_seqs:
        raise RequestError(f"n={n}: must be at most max_num_seqs={config.max_num_seqs}")
    size = config.block_size
    shared = prompt // size
    each = -(-(prompt + max_tokens - 1) // size) - shared
    needed = (shared + n * each) * len(spec.groups)
    if n > 1 and needed > config.num_device_blocks:
        raise RequestError(
            f"n={n} samples of up to {prompt + max_tokens} tokens need {needed} blocks, and the pool has "
            f"{config.num_device_blocks}: lower n or max_tokens, or raise num_device_blocks"
        )
