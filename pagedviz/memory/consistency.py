"""Whether block tables, names and reference counts say the same. Looks, and changes nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pagedviz.errors import AuditError

if TYPE_CHECKING:
    from pagedviz.memory.block_manager import BlockManager


def check_consistency(manager: BlockManager) -> None:
    """Compare the tables of all sequences with what their tiers say.

    Raises:
        AuditError: they contradict each other, or one block is in two groups, or one name in two tiers.
    """
    owners: dict[str, Counter[int]] = {name: Counter() for name in manager.tiers}
    group_of: dict[tuple[str, int], int] = {}
    for sequence in manager.sequences():
        where = manager.tier_of(sequence).name
        for group, table in enumerate(manager.tables(sequence)):
            owners[where].update(table)
            for block in table:
                if group_of.setdefault((where, block), group) != group:
                    raise AuditError(f"block {block} of sequence {sequence} is in tables of two groups")
    for name, tier in manager.tiers.items():
        tier.check(owners[name])
    twice = manager.device.names() & manager.host.names()
    if twice:
        raise AuditError(f"content is in both tiers: {sorted(twice)}")
