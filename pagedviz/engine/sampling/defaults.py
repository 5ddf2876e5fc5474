"""What a model's generation_config says beside its end tokens: what is done of it, and what is not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from pagedviz.errors import IgnoredSettingWarning

NOT_HONOURED = {
    "no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0,
    "min_length": 0,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "sequence_bias": None,
    "exponential_decay_length_penalty": None,
    "guidance_scale": 1.0,
    "watermarking_config": None,
    "stop_strings": None,
    "remove_invalid_values": False,
    "renormalize_logits": False,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "top_h": None,
    "penalty_alpha": 0.0,
    "diversity_penalty": 0.0,
    "dola_layers": None,
}
"""Settings that change tokens in ``model.generate`` and not here, each with the value that changes nothing."""


@dataclass(frozen=True)
class Defaults:
    """What a model asks for in every answer, as ``model.generate`` does it.

    Attributes:
        repetition_penalty: for requests that do not set their own.
        min_tokens: no end token before so many tokens; a request may ask for more.
        suppress: tokens that are never drawn.
        begin_suppress: tokens that are not drawn first.
        bad_words: sequences of tokens of which the last is not drawn after the others.
    """

    repetition_penalty: float = 1.0
    min_tokens: int = 0
    suppress: tuple[int, ...] = ()
    begin_suppress: tuple[int, ...] = ()
    bad_words: tuple[tuple[int, ...], ...] = ()


def read_defaults(config: Any, eos: tuple[int, ...] = ()) -> tuple[Defaults, tuple[str, ...]]:
    """What a generation_config (None: there is none) asks for, and the names of what is not honoured of it."""
    if config is None:
        return Defaults(), ()
    words = (tuple(word) for word in getattr(config, "bad_words_ids", None) or ())
    defaults = Defaults(
        repetition_penalty=float(getattr(config, "repetition_penalty", None) or 1.0),
        min_tokens=int(getattr(config, "min_new_tokens", None) or 0),
        suppress=tuple(getattr(config, "suppress_tokens", None) or ()),
        begin_suppress=tuple(getattr(config, "begin_suppress_tokens", None) or ()),
        # As in transformers: who calls an end token a bad word does not mean it.
        bad_words=tuple(word for word in words if word and word not in {(token,) for token in eos}),
    )
    ignored = [
        name
        for name, neutral in NOT_HONOURED.items()
        if (value := getattr(config, name, None)) is not None and value != neutral
    ]
    return defaults, tuple(ignored)


def defaults_of(model: Any, eos: tuple[int, ...]) -> Defaults:
    """What a model asks for in every answer; what of it is not done is told to who made the engine."""
    defaults, ignored = read_defaults(getattr(model, "generation_config", None), eos)
    if ignored:
        told = f"the engine does not do what the model's generation_config asks for with: {', '.join(ignored)}"
        warnings.warn(told, IgnoredSettingWarning, stacklevel=3)
    return defaults
