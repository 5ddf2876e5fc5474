"""What every launcher demands of its tensors, checked from shapes and dtypes only.

No value of a tensor is looked at: that would stall a GPU, and on a CPU these checks run 30 times per token.
Whether block ids are in range is therefore the caller's promise (pagedviz's block manager keeps it).
"""

import torch

CACHE_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def check_caches(key_cache: torch.Tensor, value_cache: torch.Tensor, dims: int = 4) -> None:
    """K and V caches must be twins: same shape, dtype and device, head_dim contiguous."""
    if key_cache.dim() != dims or key_cache.shape != value_cache.shape:
        raise ValueError(
            f"key_cache and value_cache must have one shape of {dims} dimensions, "
            f"got {tuple(key_cache.shape)} and {tuple(value_cache.shape)}",
        )
    if key_cache.dtype != value_cache.dtype or key_cache.dtype not in CACHE_DTYPES:
        raise ValueError(
            f"caches must share one dtype of {', '.join(map(str, CACHE_DTYPES))}, "
            f"got {key_cache.dtype} and {value_cache.dtype}",
        )
    if key_cache.stride(-1) != 1 or value_cache.stride(-1) != 1:
        raise ValueError("the last dimension of the caches must be contiguous (stride 1)")


def check_write(
    key: torch.Tensor,
    value: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
) -> None:
    """Check the arguments of `write_kv`."""
    check_caches(key_cache, value_cache)
    if key.dim() != 3 or key.shape != value.shape or key.shape[1:] != key_cache.shape[2:]:
        raise ValueError(
            f"key and value must be (num_tokens, {key_cache.shape[2]}, {key_cache.shape[3]}), "
            f"got {tuple(key.shape)} and {tuple(value.shape)}",
        )
    if key.dtype != key_cache.dtype or value.dtype != key_cache.dtype:
        raise ValueError(f"key and value must be {key_cache.dtype}, got {key.dtype} and {value.dtype}")
    if slot_mapping.dtype != torch.int64 or slot_mapping.shape != key.shape[:1]:
        raise ValueError(
            f"slot_mapping must be int64 of shape ({key.shape[0]},), "
            f"got {slot_mapping.dtype} {tuple(slot_mapping.shape)}",
        )


def check_attention(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    block_tables: torch.Tensor,
    context_lens: torch.Tensor,
    window: int | None,
    softcap: float | None,
) -> None:
    """Check what `decode` and `prefill` have in common."""
    check_caches(key_cache, value_cache)
    kv_heads, head_dim = key_cache.shape[2:]
    if query.dim() != 3 or query.shape[2] != head_dim or query.shape[1] % kv_heads:
        raise ValueError(
            f"query must be (rows, a multiple of {kv_heads} heads, {head_dim}), got {tuple(query.shape)}",
        )
    if query.dtype != key_cache.dtype:
        raise ValueError(f"query must be {key_cache.dtype} like the caches, got {query.dtype}")
    num_seqs = context_lens.shape[0]
    if block_tables.dtype != torch.int32 or block_tables.dim() != 2 or block_tables.shape[0] != num_seqs:
        raise ValueError(
            f"block_tables must be int32 of shape ({num_seqs}, max_blocks), "
            f"got {block_tables.dtype} {tuple(block_tables.shape)}",
        )
    if context_lens.dtype != torch.int32 or context_lens.dim() != 1:
        raise ValueError(
            f"context_lens must be int32 of shape (num_seqs,), "
            f"got {context_lens.dtype} {tuple(context_lens.shape)}",
        )
    if window is not None and window < 1:
        raise ValueError(f"window must be None or at least 1, got {window}")
    if softcap is not None and softcap <= 0:
        raise ValueError(f"softcap must be None or above 0, got {softcap}")


def check_rows(query: torch.Tensor, context_lens: torch.Tensor) -> None:
    """`decode` wants exactly one query row per sequence."""
    if query.shape[0] != context_lens.shape[0]:
        raise ValueError(f"decode needs {context_lens.shape[0]} query rows, one a sequence, got {query.shape[0]}")


def check_starts(query_starts: torch.Tensor, context_lens: torch.Tensor) -> None:
    """`prefill` wants the boundaries of every sequence's rows."""
    if query_starts.dtype != torch.int32 or query_starts.shape != (context_lens.shape[0] + 1,):
        raise ValueError(
            f"query_starts must be int32 of shape ({context_lens.shape[0] + 1},), "
            f"got {query_starts.dtype} {tuple(query_starts.shape)}",
        )


def check_splits(num_splits: int | None) -> None:
    """None lets the launcher choose; a number fixes the split (and with it the order of additions)."""
    if num_splits is not None and num_splits < 1:
        raise ValueError(f"num_splits must be None or at least 1, got {num_splits}")


def check_pairs(key_cache: torch.Tensor, value_cache: torch.Tensor, pairs: torch.Tensor) -> None:
    """Check the arguments of `copy_blocks`; its caches carry all layers in a leading dimension."""
    check_caches(key_cache, value_cache, dims=5)
    if pairs.dtype != torch.int64 or pairs.dim() != 2 or pairs.shape[1] != 2:
        raise ValueError(f"pairs must be int64 of shape (n, 2), got {pairs.dtype} {tuple(pairs.shape)}")


def check_swap(source: torch.Tensor, target: torch.Tensor, pairs: torch.Tensor) -> None:
    """Check the arguments of `swap_blocks`: two pools that differ in nothing but their number of blocks."""
    check_pairs(source, source, pairs)
    check_pairs(target, target, pairs)
    same = [pool.shape[:1] + pool.shape[2:] for pool in (source, target)]
    if same[0] != same[1] or source.dtype != target.dtype:
        raise ValueError(
            f"the pools differ: {tuple(source.shape)} {source.dtype} and {tuple(target.shape)} {target.dtype}"
        )
    sizes = [pool.shape[1] for pool in (source, target)]
    if pairs.numel() and (pairs.min() < 0 or (pairs.amax(dim=0) >= torch.tensor(sizes)).any()):
        raise ValueError(f"pairs name blocks outside pools of {sizes[0]} and {sizes[1]} blocks")
