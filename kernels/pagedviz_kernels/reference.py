"""The specification: the five operations in plain torch, on any device, one sequence at a time.

Written to be read, not to be fast. Every other module must agree with it; it knows nothing about tiles or
splits.
Memory layout: K and V apart, `[num_blocks, block_size, num_kv_heads, head_dim]` per layer; token `p` of a
sequence lives in block `table[p // block_size]` at offset `p % block_size`.
"""

import torch

from pagedviz_kernels.checks import (
    check_attention,
    check_pairs,
    check_rows,
    check_splits,
    check_starts,
    check_swap,
    check_write,
)


def write_kv(
    key: torch.Tensor,
    value: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
) -> None:
    """Put row t of key and value into slot `slot_mapping[t]`; slot -1 means skip.

    key, value: (num_tokens, num_kv_heads, head_dim), any strides; slot_mapping: int64 (num_tokens,).
    """
    check_write(key, value, key_cache, value_cache, slot_mapping)
    kept = slot_mapping >= 0
    slots = slot_mapping[kept]
    block_size = key_cache.shape[1]
    key_cache[slots // block_size, slots % block_size] = key[kept]
    value_cache[slots // block_size, slots % block_size] = value[kept]


def decode(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    block_tables: torch.Tensor,
    context_lens: torch.Tensor,
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    num_splits: int | None = None,
) -> torch.Tensor:
    """Attention of one new token per sequence; it is the last of its `context_lens[i]` tokens.

    query: (num_seqs, num_heads, head_dim); returns the same shape and dtype. `num_splits` changes nothing
    here: this function adds in one order only.
    """
    check_rows(query, context_lens)
    check_splits(num_splits)
    starts = torch.arange(query.shape[0] + 1, dtype=torch.int32, device=query.device)
    return prefill(
        query, key_cache, value_cache, block_tables, context_lens, starts,
        scale=scale, window=window, softcap=softcap,
    )  # fmt: skip


def prefill(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    block_tables: torch.Tensor,
    context_lens: torch.Tensor,
    query_starts: torch.Tensor,
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
) -> torch.Tensor:
    """Causal attention of the newest tokens of each sequence over its whole cached context.

    query: (num_tokens, num_heads, head_dim); rows query_starts[i]:query_starts[i+1] are the last positions of
    sequence i. A query at position p sees keys at (p - window, p]. A row that sees no key gives 0.
    """
    check_attention(query, key_cache, value_cache, block_tables, context_lens, window, softcap)
    check_starts(query_starts, context_lens)
    out = torch.zeros(query.shape, dtype=query.dtype, device=query.device)
    starts = query_starts.tolist()
    for i, context_len in enumerate(context_lens.tolist()):
        rows = slice(starts[i], starts[i + 1])
        num_rows = starts[i + 1] - starts[i]
        if num_rows == 0 or context_len == 0:
            continue
        keys = gather(key_cache, block_tables[i], context_len)
        values = gather(value_cache, block_tables[i], context_len)
        key_at = torch.arange(context_len, device=query.device)
        query_at = key_at[context_len - num_rows :, None]
        visible = key_at <= query_at
        if window is not None:
            visible &= key_at > query_at - window
        out[rows] = dense_attention(query[rows], keys, values, visible, scale, softcap)
    return out


def gather(cache: torch.Tensor, table: torch.Tensor, context_len: int) -> torch.Tensor:
    """The first `context_len` tokens in logical order: (context_len, num_kv_heads, head_dim)."""
    block_size = cache.shape[1]
    used = table[: -(-context_len // block_size)].long()
    return cache[used].flatten(0, 1)[:context_len]


def dense_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    visible: torch.Tensor,
    scale: float,
    softcap: float | None,
) -> torch.Tensor:
    """softmax(cap(scale * Q K^T)) V with at least float32 inside; query head h uses KV head h // group.

    query: (rows, num_heads, head_dim); keys, values: (tokens, num_kv_heads, head_dim); visible: (rows,
    tokens) bool.
    """
    group = query.shape[1] // keys.shape[1]
    dtype = torch.promote_types(query.dtype, torch.float32)
    keys, values = (x.to(dtype).repeat_interleave(group, dim=1) for x in (keys, values))
    scores = scale * torch.einsum("qhd,khd->hqk", query.to(dtype), keys)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~visible, float("-inf"))
    return torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), values).to(query.dtype)


def copy_blocks(key_cache: torch.Tensor, value_cache: torch.Tensor, pairs: torch.Tensor) -> None:
    """Copy whole blocks, in all layers at once: `pairs` int64 (n, 2) holds source -> target ids.

    Caches: (num_layers, num_blocks, block_size, num_kv_heads, head_dim). Targets are fresh blocks, so no
    target is also a source and no order of reads and writes is promised.
    """
    check_pairs(key_cache, value_cache, pairs)
    sources, targets = pairs.to(key_cache.device).unbind(dim=1)
    key_cache[:, targets] = key_cache[:, sources]
    value_cache[:, targets] = value_cache[:, sources]


def swap_blocks(source: torch.Tensor, target: torch.Tensor, pairs: torch.Tensor) -> None:
    """Copy whole blocks from one tier's pool into another's, in all layers at once.

    source, target: (num_layers, num_blocks, block_size, num_kv_heads, head_dim), K or V, each on any device, with
    any number of blocks; `pairs` int64 (n, 2) holds source -> target ids. Blocks are gathered where they are, cross
    the bus as one tensor, and are scattered where they go.
    """
    check_swap(source, target, pairs)
    sources, targets = pairs.unbind(dim=1)
    gathered = source.index_select(1, sources.to(source.device))
    target.index_copy_(1, targets.to(target.device), gathered.to(target.device))
