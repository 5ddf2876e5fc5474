"""What the Triton attention kernels share: one step of the online softmax, and one check.

Knows nothing about grids, splits or which query rows a program holds.
"""

import torch
import triton
import triton.language as tl
from triton.runtime.interpreter import InterpretedFunction

LOG2E = tl.constexpr(1.4426950408889634)
"""exp(x) = exp2(x log2 e): GPUs have an instruction for exp2 only."""


@triton.jit
def attend_tile(
    q, acc, row_max, row_sum,
    K, V, table, key_at, loadable, visible, kv_head, block_size, stride_block, stride_offset, stride_head,
    scale, softcap, HEAD_DIM: tl.constexpr, HEAD_DIM_PADDED: tl.constexpr, SOFTCAP: tl.constexpr,
):  # fmt: skip
    """One step of online softmax (Milakov and Gimelshein 2018, arXiv:1805.02867) over the tokens `key_at`.

    With s_j = cap(scale q k_j):
        m' = max(m, max_j s_j),  c = exp(m - m'),  p_j = exp(s_j - m')
        l' = c l + sum_j p_j,    acc' = c acc + sum_j p_j v_j
    q: (M, D); key_at, loadable: (N,); visible: broadcasts to (M, N). m is kept in units of log2.

    A lane that is not loadable touches neither the table (it may hold -1 there) nor K and V (a freed slot
    may hold NaN, and 0 * NaN is NaN). A row that has seen no key yet has m' = -inf; it uses 0, since -inf -
    -inf is NaN.
    """
    d = tl.arange(0, HEAD_DIM_PADDED)
    # int64 before the product: block id times stride passes 2**31 elements in a pool of a few GB.
    block = tl.load(table + key_at // block_size, mask=loadable, other=0).to(tl.int64)
    row = block * stride_block + (key_at % block_size) * stride_offset + kv_head * stride_head
    k = tl.load(K + row[None, :] + d[:, None], mask=loadable[None, :] & (d < HEAD_DIM)[:, None], other=0.0)
    # "ieee": without it float32 products are rounded to 10 bits of mantissa (TF32). 16-bit inputs ignore it.
    scores = tl.dot(q, k, input_precision="ieee") * scale
    if SOFTCAP:
        # tanh(x) = 1 - 2 / (1 + exp(2x)); an overflow to inf gives 1, as it should.
        scores = softcap * (1 - 2 / (1 + tl.exp2(scores * (2 * LOG2E / softcap))))
    scores = tl.where(visible, scores * LOG2E, float("-inf"))
    new_max = tl.maximum(row_max, tl.max(scores, axis=1))
    finite_max = tl.where(new_max > float("-inf"), new_max, 0.0)
    p = tl.exp2(scores - finite_max[:, None])
    correction = tl.exp2(row_max - finite_max)
    v = tl.load(V + row[:, None] + d[None, :], mask=loadable[:, None] & (d < HEAD_DIM)[None, :], other=0.0)
    acc = acc * correction[:, None] + tl.dot(p.to(v.dtype), v, input_precision="ieee")
    return acc, new_max, row_sum * correction + tl.sum(p, axis=1)


def check_launch(kernel: object, key_cache: torch.Tensor, value_cache: torch.Tensor) -> None:
    """Say why a launch cannot work, before Triton says it in its own words."""
    interpreted = isinstance(kernel, InterpretedFunction)
    if not interpreted and key_cache.device.type == "cpu":
        raise RuntimeError(
            "Triton kernels need tensors on a GPU; to run them on a CPU set TRITON_INTERPRET=1 in the "
            "environment before pagedviz_kernels.triton_ops is imported",
        )
    if interpreted and key_cache.dtype == torch.bfloat16:
        # triton#4972 and #5424: its numpy arithmetic on bfloat16 is wrong by orders of magnitude.
        raise ValueError("the Triton interpreter computes bfloat16 wrongly: use float32 or float16 caches")
    if key_cache.stride() != value_cache.stride():
        raise ValueError(
            f"key_cache and value_cache must have equal strides, "
            f"got {key_cache.stride()} and {value_cache.stride()}",
        )
