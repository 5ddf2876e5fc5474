"""Never wrong tokens, far from the start: mask, cache and attention must agree on each layer's sliding window.

A probe of a few tokens cannot see a window of thousands. So the model is asked for its mask as a function of two
positions, which is then compared with the window that our attention is told, over all positions that the model has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache

from pagedviz.errors import ModelError

IMPLEMENTATION = "pagedviz_windows"
FARTHEST = 2**20
"""Positions beyond are taken to behave like those before."""

Visible = Callable[..., torch.Tensor]


class _Mask(torch.Tensor):
    """A mask that carries the function it was made from."""

    visible: Visible


def _mask(
    batch_size: int, q_length: int, kv_length: int, *, mask_function: Visible, device: Any = "cpu", **_: Any
) -> torch.Tensor:
    mask = torch.ones((batch_size, 1, q_length, kv_length), dtype=torch.bool, device=device).as_subclass(_Mask)
    mask.visible = mask_function
    return mask


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,  # noqa: ARG001 - the interface
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    paged_attention: list[tuple[int, int | None, Any]] | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    if paged_attention is not None:
        paged_attention.append((module.layer_idx, sliding_window, attention_mask))
    return query.new_zeros((1, query.shape[2], query.shape[1], value.shape[-1])), None


AttentionInterface.register(IMPLEMENTATION, _attention)
AttentionMaskInterface.register(IMPLEMENTATION, _mask)


def check_windows(model: Any, run: Callable[[str, Any], None]) -> None:
    """Compare the windows that masks, cache and attention calls show.

    Args:
        model: the transformers model.
        run: runs it over a few tokens of one sequence, with that attention implementation and that object as
            keyword ``paged_attention``.

    Raises:
        ModelError: they differ, or a mask is no causal one; the message names the layer.
    """
    config = model.config.get_text_config()
    calls: list[tuple[int, int | None, Any]] = []
    run(IMPLEMENTATION, calls)
    cached = [getattr(layer, "sliding_window", None) for layer in DynamicCache(config=config).layers]
    if shared := getattr(config, "num_kv_shared_layers", None):
        del cached[-shared:]  # these layers have no K and V of their own in it
    checked: set[tuple[int | None, Any]] = set()
    for layer, window, mask in calls:
        where = f"layer {layer} of {type(model).__name__}"
        if layer < len(cached) and cached[layer] != window:
            raise ModelError(
                f"{where}: its attention is told of sliding window {window}, and its cache keeps {cached[layer]}"
            )
        visible = None if mask is None else getattr(mask, "visible", mask)
        if (window, visible) in checked:
            continue
        checked.add((window, visible))
        if visible is None and window is not None:
            raise ModelError(f"{where}: its attention is told of sliding window {window}, and its mask has none")
        if isinstance(visible, torch.Tensor):
            raise ModelError(
                f"{where} makes an attention mask of its own, which paged attention here cannot follow"
            )
        if visible is not None and not _agrees(visible, window, getattr(config, "max_position_embeddings", None)):
            raise ModelError(
                f"{where}: its mask is not causal attention with sliding window {window} (chunked, bidirectional "
                "or otherwise windowed attention), which paged attention here does not have"
            )


def _agrees(visible: Visible, window: int | None, limit: int | None) -> bool:
    """Whether a mask function shows each query the keys that our attention shows it."""
    last = min(max(limit or 8192, (window or 0) + 9), FARTHEST)
    keys = torch.arange(last)
    zero = torch.zeros((), dtype=torch.int64)
    for query in {0, 1, last // 2, min(window or 0, last - 1), min((window or 0) + 7, last - 1), last - 1}:
        expected = (keys <= query) & (keys > query - (window or last))
        try:
            seen = visible(zero, zero, torch.full_like(keys, query), keys)
        except IndexError:  # it looks things up per position of the probe's row: no function of two positions
            return False
        if not torch.equal(seen.expand_as(expected), expected):
            return False
    return True
