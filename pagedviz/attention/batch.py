"""One step's batch as tensors: what attention must know of tables and lengths. Data only.

It is filled in by ``engine/batch``. One flat row of tokens: first the sequences with one new token each
(decodes), then those with several (prefills).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class GroupTables:
    """Where one group of layers has the batch's K and V.

    Attributes:
        slot_mapping: (num_tokens,) int64, the slot each token's K and V are written to.
        block_tables: (num_sequences, max_blocks) int32; entries past a sequence's blocks are -1.
        blocks_read: how many table entries (decodes, prefills) look at, per layer.
    """

    slot_mapping: torch.Tensor
    block_tables: torch.Tensor
    blocks_read: tuple[int, int]


@dataclass(frozen=True)
class PagedBatch:
    """Tensors on the model's device.

    Attributes:
        input_ids: (num_tokens,) int64.
        positions: (num_tokens,) int64, each token's position in its sequence.
        rows: (num_rows,) int64, tokens whose logits are wanted, in the order of the plan's sequences.
        num_decodes: how many of the first sequences have one new token.
        context_lens: (num_sequences,) int32, tokens in memory once this step has written its own.
        query_starts: (num_prefills + 1,) int32, where each prefill's tokens begin, counted from the first one's.
        groups: one entry per group of layers.
    """

    input_ids: torch.Tensor
    positions: torch.Tensor
    rows: torch.Tensor
    num_decodes: int
    context_lens: torch.Tensor
    query_starts: torch.Tensor
    groups: tuple[GroupTables, ...]
