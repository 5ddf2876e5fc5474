"""A prompt and its parameters become a request, or an error that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import index
from typing import Any, Union

from pagedviz.chat import ChatPrompt, Messages, Template, is_messages
from pagedviz.engine.config import EngineConfig
from pagedviz.engine.detokenize import TextState, begin, pieces
from pagedviz.engine.request import Request
from pagedviz.engine.request import Sequence as RequestSequence
from pagedviz.engine.sampling.params import SamplingParams
from pagedviz.errors import RequestError
from pagedviz.models.spec import ModelSpec
from pagedviz.values import is_whole, listed, plain

Prompt = Union[str, Sequence[int], Messages, ChatPrompt]
Prompts = Union[Prompt, Sequence[Prompt]]


def as_list(prompts: Prompts) -> list[Prompt]:
    """One prompt or several, as a list of prompts. A list of messages is one prompt."""
    if isinstance(prompts, (str, ChatPrompt)):
        return [prompts]
    many: Any = None if isinstance(prompts, AbstractSet) else listed(prompts)  # a set has no order
    if many is None:
        raise RequestError(
            f"prompts are a {type(prompts).__name__}: must be a text, token ids or a list of messages, or a list "
            "of those"
        )
    one = many and (_are_messages(many) or all(is_whole(item) or isinstance(item, bool) for item in many))
    return [many] if one else many


def _are_messages(many: list[Any]) -> bool:
    """True for messages, of which one at least says whose it is; vLLM's ``{"prompt": ...}`` does not."""
    return is_messages(many) and any("role" in message for message in many)


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
    if is_messages(prompt):
        prompt = Template().prompt(tokenizer, prompt)
    text = str(prompt) if isinstance(prompt, str) else None
    if isinstance(prompt, ChatPrompt):
        text, prompt = prompt.text, prompt.token_ids
    if params.preemption == "swap" and not config.num_host_blocks:
        raise RequestError("preemption='swap' needs a host tier: the engine was made with num_host_blocks=0")
    tokens = _token_ids(prompt, tokenizer, spec.vocab_size)
    # Each group of layers needs whole blocks of its own.
    longest = config.num_device_blocks // len(spec.groups) * config.block_size
    if len(tokens) > longest:
        raise RequestError(
            f"the prompt has {len(tokens)} tokens, and the pool can never hold more than {longest} "
            f"({config.num_device_blocks} blocks of {config.block_size}"
            + (f", shared by {len(spec.groups)} groups of layers" if len(spec.groups) > 1 else "")
            + "): shorten it, or raise num_device_blocks"
        )
    if spec.max_positions is not None and len(tokens) > spec.max_positions:
        raise RequestError(f"the prompt has {len(tokens)} tokens, and the model takes at most {spec.max_positions}")
    _check_ids("logit_bias", params.logit_bias or (), spec.vocab_size)
    _check_ids("allowed_token_ids", params.allowed_token_ids or (), spec.vocab_size)
    max_tokens = _max_tokens(params, len(tokens), spec, config)
    begun, shown = _texts(tokens, tokenizer, whole=text is not None)
    request = Request(
        id=request_id,
        prompt=text,
        prompt_token_ids=tuple(tokens),
        params=params,
        seed=config.seed + first_sequence if params.seed is None else params.seed,
        max_tokens=max_tokens,
        sequences=[
            RequestSequence(first_sequence + index, index, len(tokens), list(tokens), text=begun)
            for index in range(1 if params.searches else params.width)
        ],
    )
    return request, shown


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
        try:
            prompt = tokenizer(str(prompt))["input_ids"]
        except (TypeError, ValueError) as error:  # half of a surrogate pair, for one, is no text
            raise RequestError(f"the prompt cannot be tokenized: {error}") from error
    elif hasattr(prompt, "tolist"):
        prompt = prompt.tolist()
    if not isinstance(prompt, Sequence) or isinstance(prompt, (bytes, bytearray)):
        raise RequestError(
            f"the prompt is a {type(prompt).__name__}: must be a text, token ids or a list of messages"
        )
    if not prompt:
        raise RequestError("the prompt is empty: it must have at least one token")
    tokens = [index(plain(token)) if is_whole(token) else -1 for token in prompt]
    for token, given in zip(tokens, prompt, strict=True):
        if not 0 <= token < vocab_size:
            raise RequestError(
                f"the prompt has token id {given!r}: must be whole numbers from 0 to {vocab_size - 1}"
            )
    return tokens


def _check_ids(name: str, tokens: Iterable[int], vocab_size: int) -> None:
    if unknown := [token for token in tokens if token >= vocab_size]:
        raise RequestError(f"{name} has token id {unknown[0]}: must be whole numbers from 0 to {vocab_size - 1}")


def _texts(tokens: list[int], tokenizer: Any, *, whole: bool) -> tuple[TextState, tuple[str, ...]]:
    """Where the answer's text begins, and the prompt's text piece by piece."""
    try:
        return begin(tokenizer, tokens, whole=whole), pieces(tokenizer, tokens)
    except Exception as error:  # whatever a tokenizer raises for an id that the model knows and it does not
        raise RequestError(f"the tokenizer cannot decode the prompt's token ids: {error!r}") from error


def _max_tokens(params: SamplingParams, prompt: int, spec: ModelSpec, config: EngineConfig) -> int:
    """How many tokens each sample may have: the model's limit cuts them short, and the pool does so for one alone.

    Samples run together, so together they must fit.
    """
    n, size = params.width, config.block_size
    name = "beam_width" if params.beam_width else "best_of" if params.best_of else "n"
    if n > config.max_num_seqs:
        raise RequestError(f"{name}={n}: must be at most max_num_seqs={config.max_num_seqs}")
    # The prompt's full blocks are shared; each sample may need its own copy of all that follows.
    shared = prompt // size
    each = (config.num_device_blocks // len(spec.groups) - shared) // n
    # The last token that is drawn needs no slot: its K and V would be computed by the next step.
    fits = (shared + each) * size + 1 - prompt
    limits = [params.max_tokens, spec.max_positions and spec.max_positions + 1 - prompt]
    if n == 1 or params.max_tokens is None:
        limits.append(fits)
    wanted = min(limit for limit in limits if limit is not None)
    if wanted < 1 or (n > 1 and wanted > fits):
        needed = (shared + n * (-(-(prompt + max(1, wanted) - 1) // size) - shared)) * len(spec.groups)
        raise RequestError(
            f"{name}={n}: so many sequences of up to {prompt + max(1, wanted)} tokens need {needed} blocks, and "
            f"the pool has {config.num_device_blocks}: lower {name} or max_tokens, or raise num_device_blocks"
        )
    return wanted
