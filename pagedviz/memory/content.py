"""When two blocks have the same content: chained hashes of full blocks. Knows nothing of who owns them.

Each hash covers its block's tokens and, through the chain, all tokens before it, because K and V depend on
them too (as in vLLM's prefix cache).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b


def chained_hashes(
    tokens: Sequence[int], block_size: int, computed: int, known: Sequence[str], salt: str = ""
) -> list[str]:
    """The hashes that follow ``known``: of the full blocks of ``tokens[:computed]``.

    Args:
        tokens: token ids of the sequence, from its start.
        block_size: tokens per block.
        computed: how many tokens have their K and V in memory.
        known: hashes of the first blocks, from an earlier call.
        salt: blocks of different salts have different names, whatever their tokens are (vLLM's ``cache_salt``).

    Returns:
        16 hex digits per further full block.
    """
    hashes: list[str] = []
    # No hash begins like a salt, so no salt can stand for the blocks before.
    previous = known[-1] if known else f"salt {salt}" if salt else ""
    for end in range((len(known) + 1) * block_size, computed + 1, block_size):
        content = array("q", tokens[end - block_size : end]).tobytes()
        previous = blake2b(previous.encode(errors="surrogatepass") + content, digest_size=8).hexdigest()
        hashes.append(previous)
    return hashes
