"""Which tile sizes and split counts the Triton launchers use: heuristics from shapes, in plain Python.

Nothing here looks at tensor values or times a kernel, so a first call is never slow and a step never waits
for the GPU. The compile test builds every configuration that these functions can return.
"""

from dataclasses import asdict, dataclass
from functools import cache

import torch

MIN_DOT = 16
"""Tensor cores take no smaller side of a matrix product (the interpreter would, so we ask it everywhere)."""

OPTIONS = {"enable_fp_fusion": True}
"""Said at every launch, because Triton 3.10 changes the default and 3.9 warns of it."""

MIN_TOKENS_PER_SPLIT = 128
MAX_SPLITS = 64
PROGRAMS_PER_SM = 2
NO_WINDOW = 1 << 30
"""A window longer than any context: "off" without a second version of each kernel."""


@dataclass(frozen=True)
class Tiles:
    """Compile-time sizes of one attention kernel; the names are those of its parameters."""

    HEAD_DIM: int
    HEAD_DIM_PADDED: int
    BLOCK_M: int
    TILE_N: int
    num_warps: int
    num_stages: int

    def __post_init__(self) -> None:
        smallest = min(self.HEAD_DIM_PADDED, self.BLOCK_M, self.TILE_N)
        assert smallest >= MIN_DOT, f"every side of tl.dot must be at least {MIN_DOT}, got {smallest}"

    def as_kwargs(self) -> dict[str, int | bool]:
        """Keyword arguments of a launch."""
        return asdict(self) | OPTIONS


def next_power_of_2(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << (n - 1).bit_length()


@cache
def decode_tiles(head_dim: int, itemsize: int) -> Tiles:
    """One program holds up to 16 query heads of one KV head and walks its keys in tiles of TILE_N tokens.

    TILE_N has nothing to do with the block size. A K tile and a V tile per pipeline stage lie in shared memory, so
    wide heads and float32 take shorter tiles. More rows per program spill registers (the compile test saw it).
    Under Triton 3.7.1 so do masked heads over 4 warps, and wide ones in a pipeline of 3 stages; wide ones over
    8 warps do under 3.9.
    """
    padded = max(MIN_DOT, next_power_of_2(head_dim))
    return Tiles(
        HEAD_DIM=head_dim,
        HEAD_DIM_PADDED=padded,
        BLOCK_M=MIN_DOT,
        TILE_N=32 if padded * itemsize <= 256 else 16,
        num_warps=4 if head_dim == padded else 8,
        num_stages=3 if padded <= 128 else 2,
    )


@cache
def prefill_tiles(head_dim: int, itemsize: int) -> Tiles:
    """One program holds BLOCK_M rows: some query tokens, each with all heads of the group."""
    padded = max(MIN_DOT, next_power_of_2(head_dim))
    if itemsize == 4:
        # Exact float32 products run on ordinary cores from registers: anything larger spills.
        block_m, tile_n = MIN_DOT, MIN_DOT
    else:
        block_m, tile_n = (64, 32) if padded <= 128 else (32, 16)
    return Tiles(
        HEAD_DIM=head_dim,
        HEAD_DIM_PADDED=padded,
        BLOCK_M=block_m,
        TILE_N=tile_n,
        num_warps=4,
        num_stages=2,
    )


def choose_splits(pairs: int, longest: int, num_sms: int) -> int:
    """Split enough to fill the device, but give no program a tiny share.

    `longest` is the capacity of the block table in tokens, a bound that needs no look at the lengths.
    """
    wanted = -(-PROGRAMS_PER_SM * num_sms // max(pairs, 1))
    return max(1, min(wanted, longest // MIN_TOKENS_PER_SPLIT, MAX_SPLITS))


def copy_warps(elements: int) -> int:
    """Warps for a program that moves so many 16-bit elements: 8 of them, 16 bytes, per thread at a time."""
    return max(1, min(8, next_power_of_2(elements) // 256))


@cache
def sm_count(device: torch.device) -> int:
    """Streaming multiprocessors of a GPU; the interpreter counts as one."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
