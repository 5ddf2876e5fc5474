"""A model small enough to be made anew in every kernel: random weights, and a tokenizer whose words are given."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import pagedviz as pv

WORDS = tuple(f" w{number}" for number in range(96))
_POSITIONS = 1 << 16


class Words:
    """As much of a tokenizer as the engine asks for. Every word of a text is a token, unknown ones the first."""

    eos_token_id = None
    all_special_ids = ()
    all_special_tokens = ()

    def __init__(self, words: tuple[str, ...] = WORDS) -> None:
        self.words = words

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str, **options: object) -> list[int]:
        return [sum(map(ord, word)) % len(self.words) for word in text.split()]

    def __call__(self, text: str, **options: object) -> dict[str, list[int]]:
        return {"input_ids": self.encode(text)}

    def decode(self, tokens: list[int], **options: object) -> str:
        return "".join(self.words[token] for token in tokens)

    def batch_decode(self, rows: list[list[int]], **options: object) -> list[str]:
        return [self.decode(row) for row in rows]


def tiny_engine(words: tuple[str, ...] = WORDS, **options: object) -> pv.Engine:
    """An engine that writes nonsense quickly."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=_POSITIONS,
        eos_token_id=None, bos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    return pv.Engine(model, Words(words), **options)
