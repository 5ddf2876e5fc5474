"""Writing rows into slots and copying blocks against torch's indexed assignment (the reference)."""

import torch
from common import choose_backend, memcpy_speed, percentiles, row, save
from pagedviz_kernels import reference

name, ops, device = choose_backend()
memcpy = memcpy_speed(device)
dtype = torch.bfloat16
rows = []
pool = torch.zeros(2, 30, 256, 16, 3, 64, dtype=dtype, device=device)
for tokens in (1, 32, 512):
    key = torch.randn(3, tokens, 64, device=device).to(dtype).transpose(0, 1)
    slots = torch.randperm(4096, device=device)[:tokens]
    args = (key, key, pool[0, 0], pool[1, 0], slots)
    times = percentiles(lambda args=args: ops.write_kv(*args), device)
    peer_us = percentiles(lambda args=args: reference.write_kv(*args), device)[1]
    moved = 4 * key.numel() * dtype.itemsize
    rows.append(row("write_kv", name, f"{tokens} tokens", dtype, times, moved, memcpy, "torch index", peer_us))
for count in (1, 32):
    pairs = torch.stack([torch.arange(count), torch.arange(count) + 100], dim=1).to(device)
    times = percentiles(lambda pairs=pairs: ops.copy_blocks(*pool, pairs), device)
    peer_us = percentiles(lambda pairs=pairs: reference.copy_blocks(*pool, pairs), device)[1]
    moved = 4 * count * pool[0, :, 0].numel() * dtype.itemsize
    rows.append(row("copy_blocks", name, f"{count} blocks", dtype, times, moved, memcpy, "torch index", peer_us))
save("write_and_copy", rows)
