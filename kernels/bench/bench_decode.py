"""Decode against torch's fused attention on contiguous K and V, with SmolLM2's heads."""

import torch
import torch.nn.functional as F
from common import choose_backend, memcpy_speed, paged, percentiles, row, save

name, ops, device = choose_backend()
memcpy = memcpy_speed(device)
rows = []
for num_seqs, context in ((1, 150), (8, 150), (32, 150), (1, 2000), (8, 2000)):
    dtype, scale = torch.bfloat16, 64**-0.5
    keys, values, table, lens, dense = paged(num_seqs, context, 3, 64, 16, dtype, device)
    query = torch.randn(num_seqs, 9, 64, device=device).to(dtype)

    def ours(args=(query, keys, values, table, lens), scale=scale):
        return ops.decode(*args, scale=scale)

    def peer(args=(query[:, :, None], *dense)):
        return F.scaled_dot_product_attention(*args, enable_gqa=True)

    torch.testing.assert_close(ours(), peer()[:, :, 0], atol=2e-2, rtol=2e-2)
    moved = 2 * num_seqs * context * 3 * 64 * dtype.itemsize
    times, peer_us = percentiles(ours, device), percentiles(peer, device)[1]
    case = f"batch {num_seqs} context {context}"
    rows.append(row("decode", name, case, dtype, times, moved, memcpy, "sdpa contiguous", peer_us))
save("decode", rows)
