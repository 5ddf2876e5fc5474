"""The CPU backend: checks, and launches of the loops in `cpu_loops`; float32, float16 or bfloat16 tensors.

Decides how work is split over threads and when a prompt is long enough for torch's matrix products to beat
our own loop. The maths is that of `reference`, in float32 inside. Needs numba.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np
import torch
import torch.nn.functional as F

from pagedviz_kernels import cpu_loops
from pagedviz_kernels.checks import (
    check_attention,
    check_pairs,
    check_rows,
    check_splits,
    check_starts,
    check_swap,
    check_write,
)

_BITS = {torch.bfloat16: torch.uint16, torch.float16: torch.int16}
_NUMBA_THREADS = threading.Lock()
"""numba's `workqueue` threading layer, its last resort, ends the process when two threads launch at once."""

MIN_TOKENS_PER_SPLIT = 128
ITEMS_PER_WORKER = 4
SHORT_ROWS = 4
"""Up to so many new tokens of a sequence go through the decode loop, more go through torch."""


@contextmanager
def _launching() -> Iterator[None]:
    """Numba's threads to ourselves, and torch's number of threads as the user set it.

    With OpenMP, making its threads sets the number for everything else that this thread calls, torch too: then the
    user's own model would add up in another order.
    """
    threads = torch.get_num_threads()
    with _NUMBA_THREADS:
        try:
            yield
        finally:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


def _array(tensor: torch.Tensor) -> np.ndarray:
    """The same memory for numba: floats it knows as they are, 16-bit floats as raw bits."""
    tensor = tensor.detach()
    bits = _BITS.get(tensor.dtype)
    return (tensor if bits is None else tensor.view(bits)).numpy()


def write_kv(
    key: torch.Tensor,
    value: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
) -> None:
    """Put row t of key and value into slot `slot_mapping[t]`; see `reference.write_kv`."""
    check_write(key, value, key_cache, value_cache, slot_mapping)
    cpu_loops.write_rows(_array(key), _array(value), _array(key_cache), _array(value_cache), slot_mapping.numpy())


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
    """Attention of one new token per sequence; see `reference.decode`."""
    check_attention(query, key_cache, value_cache, block_tables, context_lens, window, softcap)
    check_rows(query, context_lens)
    check_splits(num_splits)
    num_seqs, num_heads, head_dim = query.shape
    with _launching():  # numba makes its threads when it is first asked how many there are
        workers = numba.get_num_threads()
    if num_splits is None:
        longest = block_tables.shape[1] * key_cache.shape[1]
        num_splits = choose_splits(num_seqs * key_cache.shape[2], longest, workers)
    partial = np.empty((num_seqs, num_heads, num_splits, head_dim), np.float32)
    stats = np.empty((num_seqs, num_heads, num_splits, 2), np.float32)
    out = torch.empty((num_seqs, num_heads, head_dim), dtype=torch.float32)
    with _launching():
        cpu_loops.decode_partials(
            query.detach().to(torch.float32).contiguous().numpy(), _array(key_cache), _array(value_cache),
            block_tables.numpy(), context_lens.numpy(), np.float32(scale), window or 0,
            np.float32(softcap or 0.0), num_splits, workers, partial, stats,
        )  # fmt: skip
    cpu_loops.merge(partial, stats, out.numpy())
    return out.to(query.dtype)


def choose_splits(pairs: int, longest: int, workers: int) -> int:
    """Enough (sequence, KV head, split) items to keep every worker busy, but no tiny split."""
    wanted = -(-ITEMS_PER_WORKER * workers // max(pairs, 1))
    return max(1, min(wanted, longest // MIN_TOKENS_PER_SPLIT))


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
    """Causal attention of the newest tokens of each sequence over their context; see `reference.prefill`.

    A sequence with a few new tokens goes row by row through `decode` (each row is a context that ends at
    itself); a longer chunk gathers its context once and uses torch's matrix products.
    """
    check_attention(query, key_cache, value_cache, block_tables, context_lens, window, softcap)
    check_starts(query_starts, context_lens)
    starts, lens = query_starts.numpy(), context_lens.numpy()
    counts = np.diff(starts)
    out = torch.empty(query.shape, dtype=query.dtype)

    seq_of_row = np.repeat(np.arange(counts.size), counts)
    rows = np.flatnonzero(counts[seq_of_row] <= SHORT_ROWS)
    if rows.size:
        seqs = seq_of_row[rows]
        ends = (rows + 1 + (lens - starts[1:])[seqs]).astype(np.int32)
        rows, seqs = torch.from_numpy(rows), torch.from_numpy(seqs)
        out[rows] = decode(
            query[rows], key_cache, value_cache, block_tables[seqs], torch.from_numpy(ends),
            scale=scale, window=window, softcap=softcap,
        )  # fmt: skip
    for seq in np.flatnonzero(counts > SHORT_ROWS):
        first_row, last_row, context_len = int(starts[seq]), int(starts[seq + 1]), int(lens[seq])
        # Keys before the window of the oldest new token are seen by no row.
        oldest = context_len - (last_row - first_row)
        first_key = 0 if window is None else max(0, oldest - window + 1)
        keys, values = (
            _gather(cache, block_tables[seq], first_key, context_len) for cache in (key_cache, value_cache)
        )
        out[first_row:last_row] = _dense(query[first_row:last_row], keys, values, scale, window, softcap)
    return out


def _gather(cache: torch.Tensor, table: torch.Tensor, first: int, last: int) -> torch.Tensor:
    """Tokens first..last-1 of one sequence, contiguous: (num_kv_heads, tokens, head_dim)."""
    rows = torch.empty((cache.shape[2], last - first, cache.shape[3]), dtype=cache.dtype)
    cpu_loops.gather_rows(_array(cache), table.numpy(), first, _array(rows))
    return rows


def _dense(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
) -> torch.Tensor:
    """Causal attention of rows whose last position is that of the last key: (rows, num_heads, head_dim)."""
    num_rows, num_heads, head_dim = query.shape
    kv_heads, num_keys, _ = keys.shape
    group = num_heads // kv_heads
    # (kv_heads, group, rows, head_dim): a group of heads shares its K and V through a stride of 0.
    query = query.reshape(num_rows, kv_heads, group, head_dim).permute(1, 2, 0, 3)
    keys, values = (x[:, None].expand(-1, group, -1, -1) for x in (keys, values))
    causal = num_rows == num_keys and window is None
    visible = None
    if not causal or softcap is not None:
        key_at = torch.arange(num_keys)
        query_at = key_at[num_keys - num_rows :, None]
        visible = key_at <= query_at
        if window is not None:
            visible &= key_at > query_at - window
    if softcap is None:
        out = F.scaled_dot_product_attention(query, keys, values, attn_mask=visible, is_causal=causal, scale=scale)
    else:
        # torch's fused attention has no soft cap; the products of 16-bit floats would round the scores.
        query, keys, values = (x.to(torch.float32) for x in (query, keys, values))
        scores = (query @ keys.transpose(-1, -2)).mul_(scale / softcap).tanh_().mul_(softcap)
        out = scores.masked_fill_(~visible, float("-inf")).softmax(dim=-1) @ values
    return out.permute(2, 0, 1, 3).reshape(num_rows, num_heads, head_dim)


def copy_blocks(key_cache: torch.Tensor, value_cache: torch.Tensor, pairs: torch.Tensor) -> None:
    """Copy whole blocks in all layers at once; see `reference.copy_blocks`."""
    check_pairs(key_cache, value_cache, pairs)
    for cache in (key_cache, value_cache):
        cpu_loops.copy_pairs(_array(cache), pairs.numpy())


def swap_blocks(source: torch.Tensor, target: torch.Tensor, pairs: torch.Tensor) -> None:
    """Copy whole blocks from one pool into another, a thread to each share of them; see `reference.swap_blocks`."""
    check_swap(source, target, pairs)
    with _launching():
        cpu_loops.swap_pairs(_rows(source), _rows(target), pairs.numpy())


def _rows(pool: torch.Tensor) -> np.ndarray:
    """(num_layers, num_blocks, bytes): each block of each layer as a row of bytes."""
    return pool.detach().view(torch.uint8).flatten(2).numpy()
