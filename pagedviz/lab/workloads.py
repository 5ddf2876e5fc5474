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

For prefix caches lengths are not enough: ``Chats`` draws requests token by token, with beginnings in common. Its
numbers are made up, not measured: they set policies apart, and say nothing of anybody's traffic.

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


def check_count(name: str, value: float, least: int = 1) -> None:
    """Refuse a number that is too small.

    Raises:
        ConfigError: the message names it and the range.
    """
    if value < least:
        raise ConfigError(f"{name}={value!r}: must be {least} or more")


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


class TokenRequest(NamedTuple):
    """A request token by token.

    Attributes:
        prompt: its tokens, 1 or more.
        outputs: what each of its samples generated. The K and V of a last token are never stored.
        salt: requests of different salts share nothing.
    """

    prompt: tuple[int, ...]
    outputs: tuple[tuple[int, ...], ...] = ((),)
    salt: str = ""

    def num_computed(self, sample: int = 0) -> int:
        """How many tokens of a sample have their K and V in memory in the end."""
        return len(self.prompt) + max(0, len(self.outputs[sample]) - 1)

    def num_blocks(self, block_size: int) -> int:
        """How many blocks it needs at most at one time, in each group of layers.

        Raises:
            ConfigError: the block size is out of range.
        """
        check_count("block_size", block_size)
        shared = len(self.prompt) // block_size
        own = [-(-self.num_computed(sample) // block_size) - shared for sample in range(len(self.outputs))]
        return shared + sum(own)


@dataclass(frozen=True)
class Chats:
    """Chats of several turns, a few of them open at a time. Each begins with a system prompt.

    A request is one turn: all that was said in its chat so far, a new question, and as output the answer. Who
    speaks next is drawn evenly. Lengths are gamma distributed; tokens are drawn evenly from ``vocabulary``.

    Attributes:
        num_systems: how many system prompts there are. The k-th most popular one begins 1 / k^zipf as many chats
            as the first.
        num_open: chats that are open at a time.
        mean_turns: of a chat; after each turn it ends with the same chance.
        once: share of the requests that are no chat, but a document that nobody asks for again.
        mean_system, mean_question, mean_answer, mean_document: in tokens; none is longer than a quarter of
            ``max_model_len``.
        max_model_len: no request has more tokens than this: a chat that would ends before.
    """

    num_systems: int = 32
    zipf: float = 1.0
    num_open: int = 24
    mean_turns: float = 4.0
    once: float = 0.0
    mean_system: float = 200.0
    mean_question: float = 40.0
    mean_answer: float = 80.0
    mean_document: float = 400.0
    max_model_len: int = 2048
    vocabulary: int = 32_000

    def requests(self, count: int, seed: int = 0) -> tuple[TokenRequest, ...]:
        """Draw ``count`` requests in the order in which they come; the same seed gives the same ones.

        Raises:
            ConfigError: a number is out of range.
        """
        check_count("count", count)
        for name in ("num_systems", "num_open", "mean_turns", "vocabulary"):
            check_count(name, getattr(self, name))
        check_count("max_model_len", self.max_model_len, 4)
        random = np.random.default_rng(seed)
        systems = [self._text(random, self.mean_system) for _ in range(self.num_systems)]
        popularity = np.arange(1.0, self.num_systems + 1) ** -self.zipf
        popularity /= popularity.sum()
        chats: list[tuple[int, ...]] = [()] * self.num_open
        requests = []
        for _ in range(count):
            answer = self._text(random, self.mean_answer)
            if random.random() < self.once:
                requests.append(TokenRequest(self._text(random, self.mean_document), (answer,)))
                continue
            place = int(random.integers(self.num_open))
            question = self._text(random, self.mean_question)
            said = chats[place]
            if not said or len(said) + len(question) + len(answer) > self.max_model_len:
                said = systems[int(random.choice(self.num_systems, p=popularity))]
            requests.append(TokenRequest(said + question, (answer,)))
            ends = random.random() < 1 / self.mean_turns
            chats[place] = () if ends else said + question + answer
        return tuple(requests)

    def _text(self, random: np.random.Generator, mean: float) -> tuple[int, ...]:
        length = int(np.clip(np.rint(random.gamma(2.0, mean / 2)), 1, self.max_model_len // 4))
        return tuple(random.integers(self.vocabulary, size=length).tolist())


PREFIX_WORKLOADS = {
    "chat": Chats(),
    "templates": Chats(num_systems=200, mean_turns=1.0),
    "scan": Chats(once=0.3),
}
"""Chats; single questions to many system prompts; chats between which long documents are read once."""
