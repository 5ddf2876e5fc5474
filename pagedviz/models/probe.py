"""Never wrong tokens: before a model is used, its attention is replaced in one small forward and compared.

The comparison finds what no list of features can name. It also tells each layer's shape and window from
the calls themselves, which every architecture spells differently in its configuration.
"""

from __future__ import annotations

from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

import torch

from pagedviz.errors import ModelError
from pagedviz.models.spec import LayerSpec
from pagedviz.models.windows import check_windows

if TYPE_CHECKING:
    from pagedviz.models.paged import PagedModel

LENGTHS = [7, 5]
"""Two sequences in one row: a model that mixes neighbours is found out as well."""

TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
COARSE = 0.15
"""Root mean square of the difference over the logits' spread. 16-bit arithmetic leaves a few hundredths between two
orders of summing; a feature that is missing changes the logits by about their spread."""


class _Recorder:
    """Plain dense attention within each sequence of the row; notes what it was called with."""

    def __init__(self) -> None:
        self.layers: dict[int, LayerSpec] = {}

    def __call__(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> torch.Tensor:
        if layer in self.layers:
            raise ModelError(
                f"layer {layer} calls attention more than once (as differential attention does), which paged "
                "attention here does not have: a layer's K and V have one place"
            )
        self.layers[layer] = LayerSpec(query.shape[1], key.shape[1], query.shape[2], window)
        group = query.shape[1] // key.shape[1]
        parts = []
        for q, k, v in zip(*(torch.split(x, LENGTHS) for x in (query, key, value)), strict=True):
            scores = torch.einsum("qhd,khd->hqk", q.float(), k.float().repeat_interleave(group, 1)) * scale
            if softcap is not None:
                scores = softcap * torch.tanh(scores / softcap)
            distance = torch.arange(len(q))[:, None] - torch.arange(len(k))
            hidden = (distance < 0) | (distance >= (window or len(k)))
            weights = scores.masked_fill(hidden.to(scores.device), float("-inf")).softmax(-1)
            parts.append(torch.einsum("hqk,khd->qhd", weights, v.float().repeat_interleave(group, 1)))
        return torch.cat(parts).to(query.dtype)


@torch.inference_mode()
def probe(paged: PagedModel) -> dict[int, LayerSpec]:
    """Compare a small forward with the model's own; returns the attention layers that it called.

    Raises:
        ModelError: layers bypass the attention interface, windows contradict each other, or the logits differ.
    """
    model, device = paged.model, paged.device
    config = model.config.get_text_config()
    total = sum(LENGTHS)
    ids = (torch.arange(1, total + 1) * 7919 % config.vocab_size).to(device)
    positions = torch.cat([torch.arange(length) for length in LENGTHS]).to(device)
    recorder = _Recorder()
    # Backwards, so that a model that does not heed which rows are wanted is found out.
    rows = torch.arange(total - 1, -1, -1, device=device)
    try:
        with paged.attending_as():
            own = torch.cat([_own_logits(paged.whole, row[None]) for row in torch.split(ids, LENGTHS)]).float()
        ours = paged.forward(ids, positions, rows, recorder).float().flip(0)
        check_windows(model, partial(_run_as, paged, ids[: LENGTHS[0]]))
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(f"{type(model).__name__} does not run on paged attention: {error}") from error
    expected = getattr(config, "num_hidden_layers", len(recorder.layers))
    if len(recorder.layers) != expected:
        raise ModelError(
            f"{type(model).__name__}: {expected - len(recorder.layers)} of {expected} layers do not go through the "
            f"attention interface ({_reason_of_silence(model)})"
        )
    difference = ((own - ours).square().mean().sqrt() / max(own.std().item(), 1e-3)).item()
    allowed = TOLERANCE.get(model.dtype, COARSE)
    if not difference <= allowed:
        raise ModelError(
            f"{type(model).__name__} does something in its attention that paged attention here lacks: the logits "
            f"of a probe differ by {difference:.2g} of their spread (allowed: {allowed:.2g})"
        )
    return recorder.layers


def _run_as(paged: PagedModel, ids: torch.Tensor, implementation: str, calls: Any) -> None:
    """Run the model over one short sequence, with another attention implementation in place of its own."""
    positions = torch.arange(len(ids), device=ids.device)[None]
    with paged.attending_as(implementation):
        paged.model(input_ids=ids[None], position_ids=positions, use_cache=False, paged_attention=calls)


def _reason_of_silence(model: Any) -> str:
    for name, part in model.named_modules():
        if isinstance(replaced := vars(part).get("forward"), FunctionType):
            where = f"{name or type(model).__name__}.forward"
            return (
                f"{where} was replaced by the function {replaced.__name__}, which calls the model itself and not "
                "the engine's copy of it; bind it with types.MethodType, use a forward hook, or take it away"
            )
    return "recurrent layers, or attention code of their own"


def _own_logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """The model's own logits, (num_tokens, vocab_size), the last one's through its cache as in ``generate``."""
    most = model(ids[:, :-1], use_cache=True)
    cache = getattr(most, "past_key_values", None)
    if cache is None:
        return model(ids).logits[0]  # type: ignore[no-any-return]
    last = model(ids[:, -1:], past_key_values=cache, use_cache=True)
    return torch.cat([most.logits[0], last.logits[0]])
