"""What the benchmarks share: the backend of this machine, percentiles, the memory peer and the CSV file."""

import csv
import datetime as dt
import platform
import statistics
import time
from pathlib import Path

import torch

COLUMNS = (
    "op", "backend", "case", "dtype", "p20_us", "p50_us", "p80_us", "gb_per_s", "memcpy_gb_per_s",
    "peer", "peer_p50_us", "device", "torch", "timestamp",
)  # fmt: skip


def choose_backend():
    if torch.cuda.is_available():
        from pagedviz_kernels import triton_ops

        return "triton", triton_ops, torch.device("cuda")
    from pagedviz_kernels import cpu

    return "cpu", cpu, torch.device("cpu")


def percentiles(function, device, repeats=100):
    """(p20, p50, p80) in microseconds, after a warm-up that also compiles."""
    samples = []
    for i in range(repeats + 10):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if i >= 10:
            samples.append((time.perf_counter() - start) * 1e6)
    quantiles = statistics.quantiles(samples, n=10)
    return quantiles[1], quantiles[4], quantiles[7]


def memcpy_speed(device, size=1 << 28):
    """GB/s read plus written by a plain copy: the physical limit in the same run."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / percentiles(lambda: target.copy_(source), device, repeats=10)[1] / 1e3


def paged(num_seqs, context, kv_heads, head_dim, block_size, dtype, device):
    """Random caches, a permuted block table, and the same K and V contiguous for the peer."""
    per_seq = -(-context // block_size)
    shape = (num_seqs * per_seq, block_size, kv_heads, head_dim)
    key_cache, value_cache = (torch.randn(shape, device=device).to(dtype) for _ in "kv")
    table = torch.randperm(shape[0], device=device).view(num_seqs, per_seq).to(torch.int32)
    contiguous = [
        cache[table.long()].flatten(1, 2)[:, :context].transpose(1, 2).contiguous()
        for cache in (key_cache, value_cache)
    ]
    lens = torch.full((num_seqs,), context, dtype=torch.int32, device=device)
    return key_cache, value_cache, table, lens, contiguous


def save(name, rows):
    """Write the rows next to this script and print them."""
    file = Path(__file__).parent / "data" / f"{name}.csv"
    file.parent.mkdir(exist_ok=True)
    cuda = torch.cuda.is_available()
    common = {
        "device": torch.cuda.get_device_name()
        if cuda
        else f"{platform.machine()} {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "timestamp": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        for row in rows:
            full = common | {k: round(v, 1) if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(full)
            print(full)


def row(op, backend, case, dtype, times, moved, memcpy, peer, peer_us):
    """One line of the CSV; `moved` is the number of bytes that the operation must read and write."""
    return {
        "op": op, "backend": backend, "case": case, "dtype": str(dtype).removeprefix("torch."),
        "p20_us": times[0], "p50_us": times[1], "p80_us": times[2], "gb_per_s": moved / times[1] / 1e3,
        "memcpy_gb_per_s": memcpy, "peer": peer, "peer_p50_us": peer_us,
    }  # fmt: skip
