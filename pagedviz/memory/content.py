"""When two blocks have the same content: chained hashes of full blocks. Knows nothing of who owns them.

Each hash covers its block's tokens and, through the chain, all tokens before it, because K and V depend on
them too (as in vLLM's prefix cache).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np


def chained_hashes(tokens: Sequence[int], block_size: int, computed: int, known: Sequence[str]) -> list[str]:
    """The hashes that follow ``known``: of the full blocks of ``tokens[:computed]``.

    Args:
        tokens: token ids of the sequence, from its start.
        block_size: tokens per block.
        computed: how many tokens have their K and V in memory.
        known: hashes of the first blocks, from an earlier call.

    Returns:
        16 hex digits per further full block.
    """
    hashes: list[str] = []
    previous = known[-1] if known else ""
    for end in range((len(known) + 1) * block_size, computed + 1, block_size):
        content = np.asarray(tokens[end - block_size : end], dtype=np.int64).tobytes()
        previous = blake2b(previous.encode() + content, digest_size=8).hexdigest()
        hashes.append(previous)
    return hashes
