"""Tokens become text one at a time; a character that spans several tokens appears with the last of them.

Knows a tokenizer's ``decode``, and nothing of requests. The text of an answer is that of prompt and answer decoded
together, less what is whole of the decoded prompt: a prompt may end inside a character, which the answer completes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pagedviz.values import sayable

_OPEN = "\ufffd"
"""What ``decode`` puts in place of bytes that are no character, or not yet."""


@dataclass(frozen=True)
class TextState:
    """Text so far. Tokens up to ``shown`` are whole in it; decoding begins at ``context``, some tokens earlier.

    A tokenizer's text for a token depends on its neighbours (a leading space, the parts of a character), so
    each piece is the difference between two texts that begin at the same place.

    Attributes:
        ahead: characters of the text that come from tokens after ``shown``: a token may end one character and begin
            another.
    """

    text: str = ""
    context: int = 0
    shown: int = 0
    ahead: int = 0


def begin(tokenizer: Any, prompt: Sequence[int], *, whole: bool = False) -> TextState:
    """The state before the first generated token: the prompt's last few tokens are its context.

    Args:
        tokenizer: None if there is no text.
        prompt: token ids.
        whole: they are a text's, so they end with a character's end, and a replacement character is itself.
    """
    count = len(prompt)
    if tokenizer is None:
        return TextState("", count, count)
    context = _context(tokenizer, prompt)
    text = _decode(tokenizer, prompt[context:])
    if whole or not text.endswith(_OPEN):
        return TextState("", context, count)
    return TextState("", context, context, len(text.rstrip(_OPEN)))


def _context(tokenizer: Any, prompt: Sequence[int]) -> int:
    """Where to begin decoding: some tokens before the prompt's end, and not inside a character."""
    back = 5
    while back < len(prompt):
        text = _decode(tokenizer, prompt[-back:])
        if text and not text.startswith(_OPEN):
            return len(prompt) - back
        back *= 2
    return 0


def advance(tokenizer: Any, state: TextState, tokens: Sequence[int]) -> TextState:
    """The state after the last of ``tokens`` (prompt and generated ones), without a character that is open yet."""
    before = _decode(tokenizer, tokens[state.context : state.shown])
    after = _decode(tokenizer, tokens[state.context :])
    if not after.startswith(before) and not after.endswith(_OPEN):
        # A tokenizer that falls back to bytes takes a run of them as a whole: one that is no character's has spoilt
        # those before it, which were shown.
        before, after = "", _decode(tokenizer, tokens[state.shown :])
    known, whole = len(before) + state.ahead, after.rstrip(_OPEN)
    if len(whole) <= known:
        return state
    text = state.text + whole[known:]
    if len(whole) < len(after):
        return TextState(text, state.context, state.shown, len(whole) - len(before))
    return TextState(text, state.shown, len(tokens))


def pieces(tokenizer: Any, tokens: Sequence[int]) -> tuple[str, ...]:
    """One piece of text per token, special tokens included; for showing a prompt token by token."""
    if tokenizer is None:
        return ()
    found = tokenizer.batch_decode([[token] for token in tokens], clean_up_tokenization_spaces=False)
    return tuple(map(sayable, found))


def _decode(tokenizer: Any, tokens: Sequence[int]) -> str:
    text: str = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text
