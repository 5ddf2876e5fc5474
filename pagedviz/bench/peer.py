"""The peer: ``model.generate`` of transformers, greedy, past end tokens, as the engine runs with ``ignore_eos``."""

from __future__ import annotations

from typing import Any

import torch


def generate(model: Any, ids: torch.Tensor, mask: torch.Tensor | None, max_tokens: int) -> torch.Tensor:
    """The new tokens, (batch, max_tokens) int64, after ``ids`` (batch, length) int64; ``mask`` is 0 on padding."""
    settings = model.generation_config
    eos, settings.eos_token_id = settings.eos_token_id, None
    try:
        with torch.inference_mode():
            output: torch.Tensor = model.generate(
                ids,
                attention_mask=torch.ones_like(ids) if mask is None else mask,
                do_sample=False,
                max_new_tokens=max_tokens,
                pad_token_id=0,
            )
    finally:
        settings.eos_token_id = eos
    return output[:, ids.shape[1] :]
