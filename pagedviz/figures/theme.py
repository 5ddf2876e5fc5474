"""Colours and labels, read from ``theme.json`` as the JavaScript panels do. Decides none of them."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec

from pagedviz.events.codec import EngineInfo


class Theme(msgspec.Struct, frozen=True):
    """The part of the theme that Python draws with."""

    owners: tuple[str, ...]
    states: dict[str, str]
    memory: dict[str, str]
    marks: dict[str, str]
    lanes: dict[str, str]
    viridis: tuple[str, ...]
    cividis: tuple[str, ...]
    copied_steps: int
    labels: dict[str, str | dict[str, str]]

    def owner(self, sequence: int) -> str:
        """The colour of a sequence; its letter tells apart those that share one."""
        return self.owners[sequence % len(self.owners)]

    def label(self, key: str) -> str:
        """The words for a thing."""
        return str(self.labels[key])

    def tier(self, tier: str, info: EngineInfo | None) -> str:
        """The name of a tier, saying so when the device is only simulated."""
        tiers = self.labels["tiers"]
        name = tiers.get(tier, tier) if isinstance(tiers, dict) else tier
        return f"{name} ({self.label('simulated')})" if tier == "device" and info and info.simulated else name


@functools.cache
def theme() -> Theme:
    """The theme that ships with the package."""
    return msgspec.json.decode(resources.files(__package__).joinpath("theme.json").read_bytes(), type=Theme)
