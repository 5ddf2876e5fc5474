"""Messages become a prompt: by the chat template of a tokenizer, or by one that is given.

It decides what counts as messages, and what is told when they cannot be made a prompt. Of a tokenizer it knows
``apply_chat_template`` and how a text becomes token ids; of models and engines, nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from pagedviz.errors import RequestError

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ChatPrompt:
    """Messages as the model reads them: the text that the template made, and its token ids."""

    text: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True)
class Template:
    """How messages are put, with the names and meanings of vLLM's ``LLM.chat``.

    Attributes:
        chat_template: a Jinja template; None takes the tokenizer's.
        add_generation_prompt: end with the words that begin an answer.
        continue_final_message: the last message is not over: the model goes on writing it. Excludes
            ``add_generation_prompt``.
        chat_template_kwargs: what else the template asks for, such as ``{"enable_thinking": False}`` or ``tools``.
    """

    chat_template: str | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    chat_template_kwargs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.continue_final_message and self.add_generation_prompt:
            raise RequestError(
                "continue_final_message=True goes with add_generation_prompt=False: the message that the model is "
                "to continue must be the last thing in the prompt"
            )

    def text(self, tokenizer: Any, messages: Messages) -> str:
        """The messages as one text.

        Raises:
            RequestError: there is no template, or the messages are none that it takes; the message says which.
        """
        messages = checked(messages)
        if not hasattr(tokenizer, "apply_chat_template"):
            raise RequestError(
                "messages need a tokenizer with a chat template, and the engine has "
                f"{'none' if tokenizer is None else f'a {type(tokenizer).__name__}'}: give a text or token ids"
            )
        if self.chat_template is None and not getattr(tokenizer, "chat_template", None):
            raise RequestError(
                "the tokenizer has no chat template, so it is not known how this model wants messages to be put "
                "(a base model was trained on none): give a text or token ids, or a template in chat(..., "
                "chat_template=...) or engine.tokenizer.chat_template"
            )
        try:
            text = tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                chat_template=self.chat_template,
                add_generation_prompt=self.add_generation_prompt,
                continue_final_message=self.continue_final_message,
                **(self.chat_template_kwargs or {}),
            )
        except Exception as error:  # a template is a program: it raises what it likes
            raise RequestError(f"the chat template does not take these messages: {error}") from error
        return str(text)

    def prompt(self, tokenizer: Any, messages: Messages) -> ChatPrompt:
        """The messages as a prompt. The template writes special tokens itself, so none is added.

        Raises:
            RequestError: there is no template, or the messages are none that it takes.
        """
        text = self.text(tokenizer, messages)
        return ChatPrompt(text, tuple(token_ids(tokenizer, text)))


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """The token ids of a text that a template made: what it names as a special token is one, and none is added."""
    try:
        return [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    except (TypeError, ValueError) as error:  # half of a surrogate pair, for one, is no text
        raise RequestError(f"the messages cannot be tokenized: {error}") from error


def is_messages(prompt: object) -> TypeGuard[Messages]:
    """True for a list of messages, well formed or not: token ids and texts are no mappings."""
    return (
        isinstance(prompt, Sequence)
        and not isinstance(prompt, (str, bytes, bytearray))
        and len(prompt) > 0
        and all(isinstance(message, Mapping) for message in prompt)
    )


def checked(messages: Messages) -> list[dict[str, Any]]:
    """The messages, each with a text as its content: text parts are joined by line breaks, as in vLLM.

    Raises:
        RequestError: they are no messages; the message says which one is at fault.
    """
    if not is_messages(messages):
        raise RequestError(
            f"messages={messages!r:.80}: must be a list of messages, such as "
            "[{'role': 'user', 'content': 'Hello'}]"
        )
    return [_message(index, message) for index, message in enumerate(messages)]


def _message(index: int, message: Mapping[str, Any]) -> dict[str, Any]:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not role:
        raise RequestError(
            f"message {index} has role={role!r}: must be a text such as 'system', 'user', 'assistant'"
        )
    if content is None and message.get("tool_calls"):
        return dict(message)
    return {**message, "content": _content(index, content)}


def _content(index: int, content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, (list, tuple)) else [content]
    given = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    texts = [text for text in given if isinstance(text, str)]
    if not texts or len(texts) < len(given):
        raise RequestError(
            f"message {index} has content={content!r:.80}: must be a text, or a list of parts "
            "{'type': 'text', 'text': ...}; this engine reads text only"
        )
    return "\n".join(texts)


def conversations(messages: Messages | Sequence[Messages]) -> list[Messages]:
    """One list of messages or several, as a list of those."""
    if is_messages(messages) or isinstance(messages, (str, Mapping)) or not isinstance(messages, Sequence):
        return [messages]  # type: ignore[list-item]  # what is none of them is refused by `checked`
    return list(messages)  # type: ignore[arg-type]
