"""When two blocks have the same content: chained hashes of full blocks. Knows nothing of who owns them.

Each hash covers its block's tokens and, through the chain, all tokens before it, because K and V depend on
them too (as in vLLM's prefix cache).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from struct import pack


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
    begin = len(known) * block_size
    new = tokens[begin : max(begin, computed // block_size * block_size)]
    contents = pack(f"{len(new)}q", *new)  # 8 bytes a token
    # No hash begins like a salt, so no salt can stand for the blocks before.
    previous = (known[-1] if known else f"salt {salt}" if salt else "").encode(errors="surrogatepass")
    empty = blake2b(digest_size=8)  # a copy of it is cheaper than another one
    hashes: list[str] = []
    for at in range(0, len(contents), 8 * block_size):
        block = empty.copy()
        block.update(previous + contents[at : at + 8 * block_size])
        hashes.append(block.hexdigest())
        previous = hashes[-1].encode()
    return hashes
