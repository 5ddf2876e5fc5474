"""Run a transformers causal model with our attention in place of its own.

That works for any architecture that goes through ``AttentionInterface``. The batch is one flat row of tokens with
position ids; an object that knows the batch travels to every attention layer as a keyword. Knows nothing of
blocks: that object does.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from transformers import AttentionInterface

from pagedviz.errors import ModelError
from pagedviz.models.probe import probe
from pagedviz.models.spec import ModelSpec, check_config, group_layers

IMPLEMENTATION = "pagedviz"

REFUSED = {
    "s_aux": "attention sinks",
    "sinks": "attention sinks",
    "position_bias": "a relative position bias",
    "alibi": "ALiBi position biases",
    "head_mask": "a head mask",
    "cache_implementation": "a cache of its own",
}


class LayerAttention(Protocol):
    """Attention of one layer over a whole batch."""

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
        """Attend.

        Args:
            layer: the layer's index in the model.
            query: (num_tokens, num_heads, head_dim).
            key: (num_tokens, num_kv_heads, head_dim), of the same tokens.
            value: like ``key``.
            scale: factor on query x key.
            window: sliding window in tokens, or None.
            softcap: soft cap on the scaled scores, or None.

        Returns:
            (num_tokens, num_heads, head_dim).
        """


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,  # noqa: ARG001 - part of the interface; a model in evaluation mode passes 0
    paged_attention: LayerAttention | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in place of its own attention; tensors are (1, heads, num_tokens, head_dim)."""
    if paged_attention is None:
        raise ModelError(f"{type(module).__name__} does not pass keywords on to its attention function")
    for name, feature in REFUSED.items():
        if kwargs.get(name) is not None:
            raise ModelError(f"the model needs {feature} ({name}), which paged attention here does not have")
    if attention_mask is not None:
        raise ModelError("the model makes an attention mask of its own, which paged attention here cannot follow")
    if not (getattr(module, "is_causal", True) and kwargs.get("is_causal", True) in (True, None)):
        raise ModelError("the model needs bidirectional attention, which paged attention here does not have")
    if value.shape[-1] != key.shape[-1]:
        raise ModelError(
            f"the model's keys and values differ in size ({key.shape[-1]} and {value.shape[-1]}, as in "
            "multi-head latent attention), which paged attention here does not have"
        )
    output = paged_attention(
        module.layer_idx,
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
        window=kwargs.get("sliding_window"),
        softcap=kwargs.get("softcap"),
    )
    return output.unsqueeze(0), None


AttentionInterface.register(IMPLEMENTATION, _attention)


class PagedModel:
    """A transformers causal model whose attention is ours for the length of a ``forward``.

    Outside of it the model is as it was: ``generate`` and everything else still work.

    Raises:
        ModelError: the model needs something that paged attention here lacks; the message names it.
    """

    def __init__(self, model: Any) -> None:
        if not callable(getattr(getattr(model, "config", None), "get_text_config", None)):
            raise ModelError(
                f"{model!r} is no transformers model; Engine.from_pretrained loads one from a name or a folder"
            )
        self.model: Any = model.eval()
        config = self.model.config.get_text_config()
        check_config(config)
        parameters = inspect.signature(model.forward).parameters
        self._keeps_logits = "logits_to_keep" in parameters
        self._takes_positions = "position_ids" in parameters
        if not self._takes_positions:
            raise ModelError(f"{type(model).__name__} takes no position_ids, so sequences cannot share a batch")
        layers = probe(self)
        groups = group_layers(layers)
        first = layers[groups[0].layers[0]]
        self.spec = ModelSpec(
            first.num_heads,
            first.num_kv_heads,
            first.head_dim,
            groups,
            config.vocab_size,
            getattr(config, "max_position_embeddings", None),
            _eos_token_ids(model),
        )

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.model.device  # type: ignore[no-any-return]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the model's weights, and so of K and V."""
        return self.model.dtype  # type: ignore[no-any-return]

    @torch.inference_mode()
    def forward(
        self, input_ids: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor, attention: LayerAttention
    ) -> torch.Tensor:
        """Run the model over one flat row of tokens.

        Args:
            input_ids: (num_tokens,) int64.
            positions: (num_tokens,) int64, each token's position in its own sequence.
            rows: (num_rows,) int64, the tokens whose logits are wanted.
            attention: attends in every layer.

        Returns:
            logits, (num_rows, vocab_size), in the model's dtype.
        """
        keep = {"logits_to_keep": rows} if self._keeps_logits else {}
        with self._attention_is(IMPLEMENTATION):
            logits = self.model(
                input_ids=input_ids.unsqueeze(0),
                position_ids=positions.unsqueeze(0),
                use_cache=False,
                paged_attention=attention,
                **keep,
            ).logits[0]
        wanted: torch.Tensor = logits if self._keeps_logits else logits[rows]
        return wanted

    @torch.inference_mode()
    def run_as(self, implementation: str, paged_attention: Any, input_ids: torch.Tensor) -> None:
        """Run the model over one short sequence, with another attention implementation in place of its own."""
        positions = torch.arange(len(input_ids), device=input_ids.device)[None]
        with self._attention_is(implementation):
            self.model(
                input_ids=input_ids[None],
                position_ids=positions,
                use_cache=False,
                paged_attention=paged_attention,
            )

    @contextmanager
    def _attention_is(self, implementation: str) -> Iterator[None]:
        config = self.model.config.get_text_config()
        own = config._attn_implementation  # noqa: SLF001 - transformers has no public way to read it
        # Set on the configuration itself: `set_attn_implementation` checks and walks all modules, every step.
        config._attn_implementation = implementation  # noqa: SLF001
        try:
            yield
        finally:
            config._attn_implementation = own  # noqa: SLF001


def _eos_token_ids(model: Any) -> tuple[int, ...]:
    generation = getattr(model, "generation_config", None)
    ids = getattr(generation, "eos_token_id", None)
    if ids is None:
        ids = model.config.get_text_config().eos_token_id
    if ids is None:
        return ()
    return tuple(ids) if isinstance(ids, (list, tuple)) else (ids,)
