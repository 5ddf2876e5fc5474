"""Tokens become text one at a time; a character that spans several tokens appears with the last of them.

Knows a tokenizer's ``decode``, and nothing of requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TextState:
    """Text so far. Tokens up to ``shown`` are in it; decoding begins at ``context``, some tokens earlier.

    A tokenizer's text for a token depends on its neighbours (a leading space, the parts of a character), so
    each piece is the difference between two texts that begin at the same place.
    """

    text: str = ""
    context: int = 0
    shown: int = 0


def begin(num_prompt: int) -> TextState:
    """The state before the first generated token: the prompt's last few tokens are its context."""
    return TextState("", max(0, num_prompt - 5), num_prompt)


def advance(tokenizer: Any, state: TextState, tokens: Sequence[int]) -> TextState:
    """The state after the last of ``tokens`` (prompt and generated ones); unchanged inside a character."""
    before = _decode(tokenizer, tokens[state.context : state.shown])
    after = _decode(tokenizer, tokens[state.context :])
    if len(after) <= len(before) or after.endswith("\ufffd"):
        return state
    return TextState(state.text + after[len(before) :], state.shown, len(tokens))


def pieces(tokenizer: Any, tokens: Sequence[int]) -> tuple[str, ...]:
    """One piece of text per token, special tokens included; for showing a prompt token by token."""
    if tokenizer is None:
        return ()
    return tuple(tokenizer.batch_decode([[token] for token in tokens], clean_up_tokenization_spaces=False))


def _decode(tokenizer: Any, tokens: Sequence[int]) -> str:
    text: str = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text
