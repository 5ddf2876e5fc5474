"""Prefill of a prompt, and of a chunk over cached context, against torch on contiguous K and V."""

import torch
import torch.nn.functional as F
from common import choose_backend, memcpy_speed, paged, percentiles, row, save

name, ops, device = choose_backend()
memcpy = memcpy_speed(device)
rows = []
for new, context in ((64, 64), (500, 500), (512, 2048)):
    dtype, scale = torch.bfloat16, 64**-0.5
    keys, values, table, lens, dense = paged(1, context, 3, 64, 16, dtype, device)
    query = torch.randn(new, 9, 64, device=device).to(dtype)
    query_by_head = query.transpose(0, 1)[None]
    starts = torch.tensor([0, new], dtype=torch.int32, device=device)
    key_at = torch.arange(context, device=device)
    visible = key_at <= key_at[context - new :, None]

    def ours(args=(query, keys, values, table, lens, starts), scale=scale):
        return ops.prefill(*args, scale=scale)

    def peer(args=(query_by_head, *dense), mask=None if new == context else visible):
        return F.scaled_dot_product_attention(*args, attn_mask=mask, is_causal=mask is None, enable_gqa=True)

    torch.testing.assert_close(ours(), peer()[0].transpose(0, 1), atol=2e-2, rtol=2e-2)
    moved = 2 * (context * 3 + new * 9) * 64 * dtype.itemsize
    times, peer_us = percentiles(ours, device), percentiles(peer, device)[1]
    case = f"new {new} context {context}"
    rows.append(row("prefill", name, case, dtype, times, moved, memcpy, "sdpa contiguous", peer_us))
save("prefill", rows)
