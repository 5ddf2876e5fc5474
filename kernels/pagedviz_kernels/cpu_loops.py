"""The loops of the CPU backend, compiled by numba; `cpu` checks arguments and launches them.

The decode loop is the same split-KV algorithm as the Triton kernel: cut each sequence's keys into `splits`
ranges, walk each range in tiles with a running maximum and sum (online softmax, Milakov and Gimelshein 2018,
arXiv:1805.02867), then merge the ranges (Flash-Decoding, Dao et al. 2023). numba has no 16-bit floats on
CPUs, so caches arrive as raw bits and the type of the bits says what they mean: uint16 is bfloat16, int16 is
float16.
"""

import math

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core.types import ExternalFunction
from numba.extending import intrinsic

from pagedviz_kernels.compiling import compiled

TILE = 32
"""Tokens per tile: one tile of K and V in float32 stays in a 48 kB first-level cache up to head_dim 128."""

_memcpy = ExternalFunction("memcpy", types.voidptr(types.voidptr, types.voidptr, types.intp))
"""The C library's: with rows of some kilobytes about twice as fast as a loop."""

FAST = {"reassoc", "contract", "arcp", "nsz"}
"""Let LLVM reorder sums (it cannot vectorise a dot product otherwise) but not assume away -inf and NaN."""


@intrinsic
def _to_float32(_context, element):
    """Widen one cache element to float32; which conversion is known from its type at compile time."""

    def build(_, builder, _signature, arguments):
        (bits,) = arguments
        if element == types.uint16:  # bfloat16 is the upper half of a float32
            wide = builder.zext(bits, ir.IntType(32))
            return builder.bitcast(builder.shl(wide, ir.Constant(ir.IntType(32), 16)), ir.FloatType())
        if element == types.int16:
            return builder.fpext(builder.bitcast(bits, ir.HalfType()), ir.FloatType())
        return bits

    return types.float32(element), build


@compiled(nogil=True)
def write_rows(key, value, key_cache, value_cache, slots):
    """cache[slot // block_size, slot % block_size] = row, for every slot that is not negative."""
    block_size = key_cache.shape[1]
    for token in range(slots.shape[0]):
        slot = slots[token]
        if slot < 0:
            continue
        block, offset = slot // block_size, slot % block_size
        for head in range(key.shape[1]):
            for d in range(key.shape[2]):
                key_cache[block, offset, head, d] = key[token, head, d]
                value_cache[block, offset, head, d] = value[token, head, d]


@compiled(nogil=True)
def copy_pairs(cache, pairs):
    """cache[layer, target] = cache[layer, source] for every layer and pair."""
    _, _, block_size, heads, head_dim = cache.shape
    for layer in range(cache.shape[0]):
        for i in range(pairs.shape[0]):
            source, target = pairs[i, 0], pairs[i, 1]
            for offset in range(block_size):
                for head in range(heads):
                    for d in range(head_dim):
                        cache[layer, target, offset, head, d] = cache[layer, source, offset, head, d]


@compiled(nogil=True, parallel=True)
def swap_pairs(source, target, pairs):
    """target[layer, j] = source[layer, i] for every layer and pair (i, j); rows are bytes."""
    count, size = pairs.shape[0], source.shape[2]
    for item in prange(source.shape[0] * count):
        layer, pair = item // count, item % count
        _memcpy(target[layer, pairs[pair, 1]].ctypes, source[layer, pairs[pair, 0]].ctypes, size)


@compiled(nogil=True)
def gather_rows(cache, table, first, out):
    """out[head, t] = the row of token first + t; out is (num_kv_heads, tokens, head_dim)."""
    block_size = cache.shape[1]
    for t in range(out.shape[1]):
        block, offset = table[(first + t) // block_size], (first + t) % block_size
        for head in range(out.shape[0]):
            for d in range(out.shape[2]):
                out[head, t, d] = cache[block, offset, head, d]


@compiled(nogil=True, fastmath=FAST)
def _attend_range(
    query, key_cache, value_cache, tables, seq, head, split, first, last, scale, softcap,
    k, v, p, acc, partial, stats,
):  # fmt: skip
    """Online softmax of one KV head's query group over tokens first..last-1 of a sequence.

    Arguments as those of `decode_partials`; k, v, p, acc are scratch. Leaves partial = sum of exp(s - max) V, and
    stats = (max, sum). Every element is named: numba needs longer to compile one slice than all these loops.
    """
    group, head_dim = acc.shape
    top = head * group
    block_size = key_cache.shape[1]
    for g in range(group):
        stats[seq, top + g, split, 0] = -np.inf
        stats[seq, top + g, split, 1] = 0.0
        for d in range(head_dim):
            acc[g, d] = 0.0
    for start in range(first, last, TILE):
        length = min(TILE, last - start)
        block, offset = tables[seq, start // block_size], start % block_size
        for t in range(length):
            if offset == block_size:
                block, offset = tables[seq, (start + t) // block_size], 0
            for d in range(head_dim):  # converted once, used by every query head of the group
                k[t, d] = _to_float32(key_cache[block, offset, head, d])
                v[t, d] = _to_float32(value_cache[block, offset, head, d])
            offset += 1
        for g in range(group):
            old_max = stats[seq, top + g, split, 0]
            new_max = old_max
            for t in range(length):
                score = np.float32(0.0)
                for d in range(head_dim):
                    score += query[seq, top + g, d] * k[t, d]
                score *= scale
                if softcap > 0.0:
                    score = softcap * math.tanh(score / softcap)
                p[t] = score
                new_max = max(new_max, score)
            correction = math.exp(old_max - new_max)
            total = stats[seq, top + g, split, 1] * correction
            for t in range(length):
                p[t] = math.exp(p[t] - new_max)
                total += p[t]
            stats[seq, top + g, split, 0] = new_max
            stats[seq, top + g, split, 1] = total
            for d in range(head_dim):
                acc[g, d] *= correction
            for t in range(length):
                for d in range(head_dim):
                    acc[g, d] += p[t] * v[t, d]
    for g in range(group):
        for d in range(head_dim):
            partial[seq, top + g, split, d] = acc[g, d]


@compiled(parallel=True, nogil=True)
def decode_partials(
    query, key_cache, value_cache, tables, lens, scale, window, softcap, splits, workers, partial, stats
):
    """Every (sequence, KV head, split) gets its unnormalised output and its (max, sum).

    query: (num_seqs, num_heads, head_dim) float32; partial: (num_seqs, num_heads, splits, head_dim);
    stats: (num_seqs, num_heads, splits, 2). window and softcap are 0 when off.
    """
    num_seqs, num_heads, head_dim = query.shape
    kv_heads = key_cache.shape[2]
    group = num_heads // kv_heads
    items = num_seqs * kv_heads * splits
    for worker in prange(workers):
        k = np.empty((TILE, head_dim), np.float32)
        v = np.empty((TILE, head_dim), np.float32)
        p = np.empty(TILE, np.float32)
        acc = np.empty((group, head_dim), np.float32)
        # Dealt out in turn rather than in halves: neighbours in a batch often have similar lengths.
        for item in range(worker, items, workers):
            split = item % splits
            head = item // splits % kv_heads
            seq = item // (splits * kv_heads)
            first = max(0, lens[seq] - window) if window > 0 else 0
            tiles = (lens[seq] - first + TILE - 1) // TILE
            per_split = (tiles + splits - 1) // splits * TILE
            begin = first + split * per_split
            end = min(lens[seq], begin + per_split)
            _attend_range(
                query, key_cache, value_cache, tables, seq, head, split, begin, end, scale, softcap,
                k, v, p, acc, partial, stats,
            )  # fmt: skip


@compiled(nogil=True, fastmath=FAST)
def merge(partial, stats, out):
    """Merge splits; an empty context gives 0.

    out = sum_s exp(max_s - max) acc_s / sum_s exp(max_s - max) sum_s
    """
    num_seqs, num_heads, splits, head_dim = partial.shape
    for seq in range(num_seqs):
        for head in range(num_heads):
            top = np.float32(-np.inf)
            for s in range(splits):
                top = max(top, stats[seq, head, s, 0])
            total = np.float32(0.0)
            for d in range(head_dim):
                out[seq, head, d] = 0.0
            for s in range(splits):
                if stats[seq, head, s, 1] == 0.0:  # an empty range: -inf minus -inf would be NaN
                    continue
                weight = math.exp(stats[seq, head, s, 0] - top)
                total += weight * stats[seq, head, s, 1]
                for d in range(head_dim):
                    out[seq, head, d] += weight * partial[seq, head, s, d]
            if total > 0.0:
                for d in range(head_dim):
                    out[seq, head, d] /= total
