"""Are the engine's greedy tokens those of ``model.generate``? Compares every one.

A token may differ where the reference itself is undecided: where its two best logits lie within
``UNDECIDED`` of each other. Behind such a place the texts are different, so the comparison of that prompt ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pagedviz.bench.peer import generate
from pagedviz.engine import Engine

UNDECIDED = 1e-4


@dataclass(frozen=True)
class Disagreement:
    """A token that differs: ``position`` counts generated tokens, ``gap`` is between the two best logits."""

    prompt: int
    position: int
    expected: int
    got: int
    gap: float

    @property
    def counts(self) -> bool:
        """False where the reference was undecided."""
        return self.gap > UNDECIDED


@dataclass(frozen=True)
class EqualityRow:
    """One configuration: how many tokens were compared, and where they differ."""

    block_size: int
    batched: bool
    tokens: int
    disagreements: tuple[Disagreement, ...]

    @property
    def equal(self) -> bool:
        """True when no difference counts."""
        return not any(found.counts for found in self.disagreements)


def reference(model: Any, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
    """Greedy continuations by ``model.generate``, each prompt alone, end tokens ignored."""
    return [
        generate(model, torch.tensor([list(prompt)], device=model.device), None, max_tokens)[0].tolist()
        for prompt in prompts
    ]


def compare(
    model: Any, prompts: Sequence[Sequence[int]], expected: Sequence[Sequence[int]], got: Sequence[Sequence[int]]
) -> tuple[int, tuple[Disagreement, ...]]:
    """How many tokens were compared, and the first difference of each prompt that has one."""
    compared, found = 0, []
    for index, (prompt, want, have) in enumerate(zip(prompts, expected, got, strict=True)):
        position = next((i for i, (a, b) in enumerate(zip(want, have, strict=True)) if a != b), None)
        compared += len(want) if position is None else position + 1
        if position is not None:
            gap = _gap(model, [*prompt, *want[:position]])
            found.append(Disagreement(index, position, want[position], have[position], gap))
    return compared, tuple(found)


def _gap(model: Any, tokens: Sequence[int]) -> float:
    with torch.inference_mode():
        logits = model(torch.tensor([list(tokens)], device=model.device), use_cache=False).logits[0, -1].float()
    best = logits.topk(2).values
    return float(best[0] - best[1])


def equality(
    make_engine: Callable[[int], Engine],
    prompts: Sequence[Sequence[int]],
    max_tokens: int = 200,
    block_sizes: Sequence[int] = (1, 16, 32),
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[EqualityRow]:
    """Compare for every block size, all prompts in one batch and each alone.

    Args:
        make_engine: block size -> engine; all on the same model, in float32.
        prompts: token ids.
        max_tokens: generated per prompt.
        block_sizes: to compare.
        on_progress: told what is being done.
    """
    on_progress("model.generate")
    model = make_engine(block_sizes[0]).model
    expected = reference(model, prompts, max_tokens)
    options: dict[str, Any] = {"max_tokens": max_tokens, "temperature": 0.0, "ignore_eos": True}
    for block_size in block_sizes:
        engine = make_engine(block_size)
        for batched in (True, False):
            on_progress(f"block size {block_size}, {'batched' if batched else 'alone'}")
            if batched:
                outputs = engine.generate(list(prompts), **options)
            else:
                outputs = [engine.generate(list(prompt), **options)[0] for prompt in prompts]
            engine.audit()
            got = [list(output.outputs[0].token_ids) for output in outputs]
            compared, found = compare(model, prompts, expected, got)
            yield EqualityRow(block_size, batched, compared, found)
