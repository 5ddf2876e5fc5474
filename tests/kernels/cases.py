"""Paged batches for the kernel tests, and dense attention in float64 that shares no code with any backend.

The pool is poisoned: every slot that no token owns holds NaN, and every table entry past a sequence is -1 (or some
other nonsense), so a kernel that reads too far cannot give a right answer.
"""

from dataclasses import dataclass, field
from functools import cached_property

import torch

TOLERANCES = {  # what rounding the inputs' dtype allows, relative to outputs of about 1
    torch.float32: {"atol": 2e-5, "rtol": 1e-4},
    torch.float16: {"atol": 2e-3, "rtol": 1e-2},
    torch.bfloat16: {"atol": 1.6e-2, "rtol": 2e-2},
}


@dataclass
class Case:
    """One batch by its shapes; `new` is the number of new tokens of each sequence."""

    lens: tuple[int, ...]
    new: tuple[int, ...] | None = None
    block_size: int = 16
    kv_heads: int = 2
    group: int = 1
    head_dim: int = 64
    dtype: torch.dtype = torch.float32
    window: int | None = None
    softcap: float | None = None
    seed: int = 0
    shared_blocks: int = 0  # the first so many blocks of every sequence are those of the first
    padding: int = -1
    keys: list[torch.Tensor] = field(default_factory=list, init=False)
    values: list[torch.Tensor] = field(default_factory=list, init=False)

    def __post_init__(self):
        self.new = self.new or (1,) * len(self.lens)
        generator = torch.Generator().manual_seed(self.seed)

        def normal(*shape):
            return torch.randn(shape, generator=generator).to(self.dtype)

        shared = self.shared_blocks * self.block_size
        for length in self.lens:
            key, value = (normal(length, self.kv_heads, self.head_dim) for _ in range(2))
            if self.keys:
                key[:shared], value[:shared] = self.keys[0][:shared], self.values[0][:shared]
            self.keys.append(key)
            self.values.append(value)
        self.query = normal(sum(self.new), self.kv_heads * self.group, self.head_dim)
        self.scale = self.head_dim**-0.5
        self.place(seed=self.seed)

    def place(self, seed):
        """Lay the tokens out in a pool of NaN, physical ids permuted by the seed."""
        counts = [-(-length // self.block_size) for length in self.lens]
        width = max(counts, default=0) + 2
        order = torch.randperm(sum(counts) + 3, generator=torch.Generator().manual_seed(seed)).tolist()
        shape = (len(order), self.block_size, self.kv_heads, self.head_dim)
        self.key_cache, self.value_cache = (torch.full(shape, float("nan"), dtype=self.dtype) for _ in "kv")
        self.tables = torch.full((len(self.lens), width), self.padding, dtype=torch.int32)
        for i, count in enumerate(counts):
            for logical in range(count):
                is_shared = i > 0 and logical < self.shared_blocks
                block = int(self.tables[0, logical]) if is_shared else order.pop()
                self.tables[i, logical] = block
                tokens = slice(logical * self.block_size, min((logical + 1) * self.block_size, self.lens[i]))
                filled = tokens.stop - tokens.start
                self.key_cache[block, :filled] = self.keys[i][tokens]
                self.value_cache[block, :filled] = self.values[i][tokens]
        self.context_lens = torch.tensor(self.lens, dtype=torch.int32)
        self.starts = torch.tensor([0, *self.new], dtype=torch.int32).cumsum(0, dtype=torch.int32)

    def decode(self, backend, **options):
        return backend.decode(
            self.query, self.key_cache, self.value_cache, self.tables, self.context_lens,
            scale=self.scale, window=self.window, softcap=self.softcap, **options,
        )  # fmt: skip

    def prefill(self, backend):
        return backend.prefill(
            self.query, self.key_cache, self.value_cache, self.tables, self.context_lens, self.starts,
            scale=self.scale, window=self.window, softcap=self.softcap,
        )  # fmt: skip

    @cached_property
    def expected(self):
        """Row by row and head by head, in float64, straight from the definition."""
        out = torch.zeros(self.query.shape, dtype=torch.float64)
        row = 0
        for keys, values, length, new in zip(self.keys, self.values, self.lens, self.new, strict=True):
            for position in range(length - new, length):
                first = 0 if self.window is None else max(0, position - self.window + 1)
                for head in range(self.query.shape[1] if position >= 0 else 0):
                    k = keys[first : position + 1, head // self.group].double()
                    v = values[first : position + 1, head // self.group].double()
                    scores = self.scale * (k @ self.query[row, head].double())
                    if self.softcap is not None:
                        scores = self.softcap * (scores / self.softcap).tanh()
                    weights = (scores - scores.max()).exp()
                    out[row, head] = weights @ v / weights.sum()
                row += 1
        return out

    def check(self, actual):
        """The result is a fresh tensor of the query's dtype and is right within that dtype's rounding."""
        assert actual.dtype == self.query.dtype
        assert actual.is_contiguous()
        torch.testing.assert_close(actual.double(), self.expected, **TOLERANCES[self.dtype])


def edge_lens(block_size, longest=70):
    """Lengths at which an off-by-one shows."""
    return tuple(sorted({1, max(1, block_size - 1), block_size, block_size + 1, longest}))
