"""How long requests are: seeded synthetic workloads after the PagedAttention paper's two datasets.

The paper (section 6.1) prints mean lengths only. What is assumed here beside them:

* lengths are gamma distributed, input and output independent of each other;
* the squared coefficient of variation is 1 for inputs, and 0.76 for outputs. The latter follows from figure 2:
  Orca (Max) holds 7 requests in 15,700 slots, so its 20.4 % used and 13.3 % reserved are 458 and 756 slots a
  request, which with the mean input gives E[o^2]/E[o] = 595 for outputs. That one bar is thereby fitted, the
  others are predicted. Alpaca-like lengths take the same two numbers, for want of better ones;
* a draw has one length out of each n-th of its distribution, in random order: a few thousand independent ones
  would miss the printed means by 2 %;
* a request has 1 token or more of each, and with both 2048 or fewer, OPT's limit: longer outputs are cut. That
  is one request in a thousand, so the means stay what they are.

It knows nothing of memory or time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pagedviz.errors import ConfigError

STRATUM = 64
"""How many draws make one length; see the third point above."""


class Request(NamedTuple):
    """How long a request is: tokens of its prompt, and tokens that it generates."""

    input_length: int
    output_length: int

    @property
    def slots(self) -> int:
        """How many token slots it needs in the end. The last token's K and V are never stored: it ends there."""
        return self.input_length + self.output_length - 1


@dataclass(frozen=True)
class Workload:
    """A distribution of lengths.

    Attributes:
        mean_input, mean_output: in tokens.
        input_cv2, output_cv2: variance over squared mean.
        max_model_len: no request has more tokens than this.
    """

    mean_input: float
    mean_output: float
    input_cv2: float = 1.0
    output_cv2: float = 0.76
    max_model_len: int = 2048

    def requests(self, count: int, seed: int = 0) -> tuple[Request, ...]:
        """Draw ``count`` requests; the same seed gives the same ones.

        Raises:
            ConfigError: there is no request to draw.
        """
        if count < 1 or self.max_model_len < 2:
            raise ConfigError(
                f"{count} requests of up to {self.max_model_len} tokens: need 1 or more, of 2 or more"
            )
        random = np.random.default_rng(seed)
        inputs = _gamma(random, self.mean_input, self.input_cv2, count).clip(1, self.max_model_len - 1)
        outputs = _gamma(random, self.mean_output, self.output_cv2, count).clip(1, self.max_model_len - inputs)
        return tuple(map(Request, inputs.tolist(), outputs.tolist()))


def _gamma(random: np.random.Generator, mean: float, cv2: float, count: int) -> npt.NDArray[np.int64]:
    """Lengths from a gamma distribution, the middle one of every ``STRATUM`` draws in order of size."""
    draws = np.sort(random.gamma(1 / cv2, mean * cv2, count * STRATUM))[STRATUM // 2 :: STRATUM]
    lengths: npt.NDArray[np.int64] = np.rint(random.permutation(draws)).astype(np.int64)
    return lengths


WORKLOADS = {
    "sharegpt": Workload(161.31, 337.99),
    "alpaca": Workload(19.31, 58.45),
}
