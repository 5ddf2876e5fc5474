"""How a token is drawn from a row of logits, by what a request asks for. Knows nothing of requests or text.

Randomness has no state: the number that decides a token depends on seed, sample and position alone. So a
token does not depend on the batch it is drawn in, and a step that failed draws the same ones again.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from pagedviz.engine.sampling.params import SamplingParams


def uniform(seed: int, sample: int, position: int) -> float:
    """The number in [0, 1) that decides a token; the same for the same arguments, always (Philox 4x64)."""
    key = np.array([seed % 2**64, sample], dtype=np.uint64)
    bits = np.random.Philox(key=key, counter=[position, 0, 0, 0]).random_raw(1)
    return float(bits[0] >> np.uint64(11)) * 2.0**-53


def distribution(logits: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """Probabilities (vocab_size,) float32 after temperature, top-k, top-p and min-p; at least one is not 0."""
    # A tiny temperature must not make infinity of what is likeliest.
    logits = (logits / params.temperature).clamp(max=torch.finfo(logits.dtype).max)
    if 0 < params.top_k < len(logits):
        least = logits.topk(params.top_k).values[-1]
        logits = logits.masked_fill(logits < least, -math.inf)
    probabilities = logits.softmax(-1)
    if params.top_p < 1:
        ordered, order = probabilities.sort(descending=True)
        # A token stays if those before it do not have enough: so the first always does.
        surplus = (ordered.cumsum(-1) - ordered) >= params.top_p
        probabilities = probabilities.index_fill(0, order[surplus], 0.0)
    if params.min_p > 0:
        least = params.min_p * probabilities.max()
        probabilities = probabilities.masked_fill(probabilities < least, 0.0)
    return probabilities


def draw(probabilities: torch.Tensor, number: float) -> int:
    """The token at ``number`` (in [0, 1)) of the way through the probabilities, which need not add up to 1."""
    steps = probabilities.double().cumsum(-1)
    index = int(torch.searchsorted(steps, number * steps[-1].item(), right=True))
    # Rounding can lead past the last token that has a probability.
    return min(index, int(probabilities.nonzero()[-1]))
