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
from pagedviz.models.changes import Changes
from pagedviz.models.offload import execution_device
from pagedviz.models.probe import probe
from pagedviz.models.replica import Replica
from pagedviz.models.spec import ModelSpec, check_config, group_layers
from pagedviz.models.unwrap import transformers_model, without_compile

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
    """What the layers of a replica call as their attention; tensors are (1, heads, num_tokens, head_dim)."""
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
    """A transformers causal model on our attention. Runs a replica; the user's own object is only read.

    Raises:
        ModelError: the model needs something that paged attention here lacks; the message names it.

    Attributes:
        model: the replica: the transformers model itself, without what it was wrapped in.
        whole: the replica with the ``PeftModel`` around it, if there is one: what the user's object would compute.
        device: where it computes, and where K and V have to be.
        dtype: of its weights, and so of K and V.
    """

    def __init__(self, model: Any) -> None:
        self._given = without_compile(model)
        inner = transformers_model(self._given)
        self._changes = Changes(self._given)
        replica = Replica(self._given)
        self.whole: Any = replica.model
        self.model: Any = replica.of(inner)
        config = self.model.config.get_text_config()
        self._own_attention = [(each, each._attn_implementation) for each in replica.configs]
        self._attend_as(IMPLEMENTATION)
        check_config(config)
        parameters = inspect.signature(type(inner).forward).parameters  # what is put over it may take *args
        self._keeps_logits = "logits_to_keep" in parameters
        self._takes_positions = "position_ids" in parameters
        if not self._takes_positions:
            raise ModelError(f"{type(inner).__name__} takes no position_ids, so sequences cannot share a batch")
        self.device: torch.device = execution_device(self.model)
        self.dtype: torch.dtype = self.model.dtype
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
            _eos_token_ids(inner),
        )

    def follow(self, *, weights: bool = True) -> str:
        """Look at the user's model, and run it as it is now; says what has changed since the last look.

        Args:
            weights: look for changes of the weights' values too. They are used in any case, as they are shared.

        Returns:
            the change as a sentence's end, or nothing.

        Raises:
            ModelError: it has become what this cannot run, or a model of another shape, dtype or device.
        """
        change = self._changes.found(weights=weights)
        if change is None:
            return ""
        if change.structural:
            self.renew()
        else:
            self._check(self.model, self.spec)
            self._changes.remember()
        return change.why

    def renew(self) -> None:
        """Make the replica anew.

        Raises:
            ModelError: as ``follow``.
        """
        new = PagedModel(self._given)
        self._check(new.model, new.spec)
        vars(self).update({**vars(new), "spec": self.spec})

    def _check(self, model: Any, spec: ModelSpec) -> None:
        """Whether K and V of the model would still fit the blocks."""
        had = (self.device, self.dtype, *_shape(self.spec))
        has = (execution_device(model), model.dtype, *_shape(spec))
        if had != has:
            raise ModelError(
                f"the model was {', '.join(map(str, had[:2]))} when its engine was made and is now "
                f"{', '.join(map(str, has[:2]))}, or its layers have another shape: make a new engine for it"
            )

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
        # K and V are kept in the weights' dtype, so an autocast around the call must not reach the layers.
        try:
            with torch.autocast(self.device.type, enabled=False):
                logits = self.model(
                    input_ids=input_ids.unsqueeze(0),
                    position_ids=positions.unsqueeze(0),
                    use_cache=False,
                    paged_attention=attention,
                    **keep,
                ).logits[0]
        except (RuntimeError, ValueError):
            if hasattr(self, "spec"):  # it may have been moved, or made another dtype, between two looks
                self._check(self.model, self.spec)
            raise
        wanted: torch.Tensor = logits if self._keeps_logits else logits[rows]
        return wanted

    @contextmanager
    def attending_as(self, implementation: str | None = None) -> Iterator[None]:
        """Let the replica attend in another way meanwhile: that of this name, or the model's own."""
        self._attend_as(implementation)
        try:
            with torch.autocast(self.device.type, enabled=False):
                yield
        finally:
            self._attend_as(IMPLEMENTATION)

    def _attend_as(self, implementation: str | None) -> None:
        for config, own in self._own_attention:
            config._attn_implementation = implementation or own


def _shape(spec: ModelSpec) -> tuple[Any, ...]:
    return spec.num_heads, spec.num_kv_heads, spec.head_dim, spec.groups, spec.vocab_size


def _eos_token_ids(model: Any) -> tuple[int, ...]:
    generation = getattr(model, "generation_config", None)
    ids = getattr(generation, "eos_token_id", None)
    if ids is None:
        ids = model.config.get_text_config().eos_token_id
    if ids is None:
        return ()
    return tuple(ids) if isinstance(ids, (list, tuple)) else (ids,)
