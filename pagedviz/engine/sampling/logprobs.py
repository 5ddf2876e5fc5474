"""Log probabilities of tokens as a caller gets them: the token's own, and those of the likeliest ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pagedviz.engine.outputs import Logprob


class LogprobTable:
    """Reads rows of logits; knows a tokenizer's ``decode``, if there is a tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, logits: torch.Tensor, tokens: Sequence[int], count: int) -> list[dict[int, Logprob]]:
        """For each row its token's, first if it is none of the ``count`` likeliest, and those of these."""
        rows = logits.float().log_softmax(-1)
        best, ids = (found.tolist() for found in rows.topk(min(count, rows.shape[1])))
        own = rows.gather(1, torch.tensor(tokens, device=rows.device)[:, None])
        ranks, values = ((rows > own).sum(-1) + 1).tolist(), own[:, 0].tolist()
        made = []
        for row, token in enumerate(tokens):
            entry = [
                (id_, value, rank) for rank, (id_, value) in enumerate(zip(ids[row], best[row], strict=True), 1)
            ]
            if token not in ids[row]:
                entry.insert(0, (token, values[row], ranks[row]))
            made.append({id_: Logprob(value, rank, self._text(id_)) for id_, value, rank in entry})
        return made

    def _text(self, token: int) -> str | None:
        return None if self._tokenizer is None else self._tokenizer.decode([token])
