"""What the engine must know of a model: its attention layers' shapes and windows, its limits. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagedviz.errors import ModelError
from pagedviz.events.codec import LayerGroup


@dataclass(frozen=True)
class LayerSpec:
    """One attention layer, as its calls showed it. ``window`` is the sliding window in tokens, if any."""

    num_heads: int
    num_kv_heads: int
    head_dim: int
    window: int | None


@dataclass(frozen=True)
class ModelSpec:
    """Attention shapes, the groups of layers that share a block table, and the model's limits.

    ``max_positions`` is None for a model without a limit of its own. ``lanes`` maps each layer to its place
    within its group: a block has room for as many layers as the largest group has.
    """

    num_heads: int
    num_kv_heads: int
    head_dim: int
    groups: tuple[LayerGroup, ...]
    vocab_size: int
    max_positions: int | None
    eos_token_ids: tuple[int, ...]

    @property
    def num_lanes(self) -> int:
        """How many layers' K and V a block holds."""
        return max(len(group.layers) for group in self.groups)

    def places(self) -> dict[int, tuple[int, int]]:
        """Layer -> (group, lane)."""
        return {
            layer: (index, lane)
            for index, group in enumerate(self.groups)
            for lane, layer in enumerate(group.layers)
        }


def group_layers(layers: Mapping[int, LayerSpec]) -> tuple[LayerGroup, ...]:
    """Group layers by their sliding window, in order of first appearance.

    Raises:
        ModelError: layers differ in heads or head size, which one pool of equal blocks cannot hold.
    """
    shapes = {(spec.num_heads, spec.num_kv_heads, spec.head_dim) for spec in layers.values()}
    if len(shapes) > 1:
        raise ModelError(f"layers with different (heads, KV heads, head size) {sorted(shapes)} are not supported")
    members: dict[int | None, list[int]] = {}
    for index in sorted(layers):
        members.setdefault(layers[index].window, []).append(index)
    return tuple(LayerGroup(tuple(layers_), window) for window, layers_ in members.items())


def check_config(config: Any) -> None:
    """Refuse what a configuration names and paged attention here lacks.

    Raises:
        ModelError: the message names the feature.
    """
    known = {"full_attention", "sliding_attention"}
    if unknown := sorted({*(getattr(config, "layer_types", None) or ())} - known):
        raise ModelError(
            f"layers of type {', '.join(unknown)} are not supported; supported: {', '.join(sorted(known))}"
        )
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError("encoder-decoder models (cross attention) are not supported")
    inner = getattr(config, "attn_config", None)  # MPT's
    named = getattr(config, "position_embedding_type", None) == "alibi" or config.model_type == "bloom"
    if named or getattr(config, "alibi", False) or getattr(inner, "alibi", False):
        raise ModelError("ALiBi position biases are not supported")
    for rope in _rope_parameters(config):
        if (kind := rope.get("rope_type", rope.get("type"))) in ("dynamic", "longrope"):
            # Their rotation depends on the longest sequence of the batch, so neighbours would change tokens.
            raise ModelError(f"{kind!r} rope scaling is not supported: it depends on the other sequences")


def _rope_parameters(config: Any) -> list[dict[str, Any]]:
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    nested = [value for value in rope.values() if isinstance(value, dict)]
    return nested or [rope]
