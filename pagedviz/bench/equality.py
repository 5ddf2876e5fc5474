"""Are the engine's greedy tokens those of ``model.generate``? Compares every one.

A token may differ where the reference itself is undecided: where its two best logits lie within
``UNDECIDED`` of each other. Behind such a place the texts are different, so the comparison of that prompt ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pagedviz.bench.batches import prompt_tokens
from pagedviz.bench.rows import Rows

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


def reference(model: Any, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
    """Greedy continuations by ``model.generate``, each prompt alone, end tokens ignored."""
    import torch

    from pagedviz.bench.peer import generate

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
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([list(tokens)], device=model.device), use_cache=False).logits[0, -1].float()
    best = logits.topk(2).values
    return float(best[0] - best[1])


def equality(
    model: str,
    attention: str,
    device: str,
    max_tokens: int,
    block_sizes: Sequence[int],
    on_progress: Callable[[str], None] = lambda _: None,
) -> Rows:
    """Whether every greedy token is that of model.generate, in float32.

    Ends with status 1 if one is not.

    Args:
        model: as ``Engine.from_pretrained`` takes it; engines have pools as large as the prompts need.
        attention: a backend.
        device: where the model runs.
        max_tokens: generated per prompt.
        block_sizes: an engine each; all prompts in one batch, and each alone.
        on_progress: told what is being done.
    """
    import torch

    from pagedviz.engine import Engine, EngineConfig
    from pagedviz.models import load
    from pagedviz.models.devices import find_device

    EngineConfig(attention=attention)  # a bad name is told before a model is loaded for it
    where = find_device(device)
    loaded, tokenizer = load(model, torch.float32)
    loaded = loaded.to(where)
    prompts = prompt_tokens(tokenizer)
    slots = sum(len(prompt) + max_tokens for prompt in prompts) + 32 * len(prompts)
    on_progress("model.generate")
    expected = reference(loaded, prompts, max_tokens)
    options: dict[str, Any] = {"max_tokens": max_tokens, "temperature": 0.0, "ignore_eos": True}
    rows, passed = [], True
    for size in block_sizes:
        engine = Engine(loaded, block_size=size, num_device_blocks=-(-slots // size), attention=attention)
        for run in ("batched", "alone"):
            on_progress(f"block size {size}, {run}")
            batches = [prompts] if run == "batched" else [[prompt] for prompt in prompts]
            outputs = [output for batch in batches for output in engine.generate(batch, **options)]
            engine.audit()
            got = [list(output.outputs[0].token_ids) for output in outputs]
            compared, found = compare(loaded, prompts, expected, got)
            counted = [difference for difference in found if difference.counts]
            passed = passed and not counted
            rows.append(
                {
                    "block_size": size,
                    "run": run,
                    "tokens_compared": compared,
                    "equal": not counted,
                    "undecided_by_reference": len(found) - len(counted),
                    "differences": [asdict(difference) for difference in found],
                }
            )
    return rows, passed
