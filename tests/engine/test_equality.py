"""Greedy tokens equal those of transformers' generate, however the work is cut into steps and blocks."""

import contextlib
import os

import pytest
import torch

import pagedviz as pv
from pagedviz.attention import BACKENDS, select_backend

CPU = torch.device("cpu")

FAMILIES = ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3", "gpt_neox", "opt", "phi3", "gpt2"]
LENGTHS = [1, 15, 16, 17, 31, 33, 5, 64]
FEW = [1, 17, 40]
NIGHTLY = os.environ.get("PAGEDVIZ_NIGHTLY") == "1"
COUNT = 64 if NIGHTLY else 40
TIE = 1e-4
GREEDY = {"max_tokens": COUNT, "temperature": 0.0, "ignore_eos": True}

SETUPS = {
    "blocks of 1": {"block_size": 1, "num_device_blocks": 2048},
    "blocks of 16": {"block_size": 16, "num_device_blocks": 256},
    "blocks of 32": {"block_size": 32, "num_device_blocks": 128},
    "chunks of 9": {"block_size": 4, "num_device_blocks": 1024, "max_num_batched_tokens": 9, "max_num_seqs": 9},
    "small pool": {"block_size": 4, "max_num_batched_tokens": 48},
    "small pool, chunks": {"block_size": 3, "max_num_batched_tokens": 13, "max_num_seqs": 13},
}


def others():
    """The backends that can be had here, but for the one that is taken anyway."""
    for name in BACKENDS:
        with contextlib.suppress(pv.BackendUnavailable):
            if select_backend(name, CPU) != select_backend("auto", CPU):
                yield name


if not NIGHTLY:
    del SETUPS["blocks of 32"], SETUPS["chunks of 9"]  # the small pool has chunks too
SETUPS |= {name: {"block_size": 16, "num_device_blocks": 256, "attention": name} for name in others()}


def differences(found, expected, leads):
    """Positions where tokens differ; after one of them nothing can be compared."""
    for position, (own, other) in enumerate(zip(found, expected, strict=True)):
        if own != other:
            return [] if leads[position] <= TIE else [(position, own, other, leads[position])]
    return []


def check(engine, model, prompts, count, reference, run_audited):
    params = {**GREEDY, "max_tokens": count}
    ids = [engine.add_request(prompt, **params) for prompt in prompts]
    for prompt, output in zip(prompts, run_audited(engine, ids), strict=True):
        expected, leads = reference(model, prompt, count)
        assert differences(output.outputs[0].token_ids, expected, leads) == [], f"prompt of {len(prompt)}"
        assert output.outputs[0].finish_reason == "length"


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_gives_the_tokens_of_generate(family, setup, tiny, make_prompt, reference, run_audited):
    model = tiny(family)
    options = dict(SETUPS[setup])
    lengths = FEW if "attention" in options else LENGTHS
    if "num_device_blocks" not in options:  # 1.3 of the longest request
        groups = 2 if family in {"gemma2", "gemma3"} else 1
        options["num_device_blocks"] = int((max(lengths) + COUNT) / options["block_size"] * 1.3) * groups
    engine = pv.Engine(model, **options)
    prompts = [make_prompt(length, LENGTHS.index(length) if length in LENGTHS else 40) for length in lengths]
    check(engine, model, prompts, COUNT, reference, run_audited)
    assert (engine.stats()["num_preemptions"] > 0) == ("small pool" in setup)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_alone_gives_the_tokens_of_generate(family, tiny, make_prompt, reference, run_audited):
    model = tiny(family)
    engine = pv.Engine(model, block_size=16, num_device_blocks=32)
    for length in (1, 16, 33):
        prompt = make_prompt(length, LENGTHS.index(length))
        check(engine, model, [prompt], COUNT, reference, run_audited)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_is_neither_degenerate_nor_blind(family, tiny, make_prompt, reference):
    model = tiny(family)
    prompt = make_prompt(33, 5)
    tokens, _ = reference(model, prompt, COUNT)
    assert len(set(tokens)) > COUNT // 8
    other, _ = reference(model, [prompt[0] + 1, *prompt[1:]], COUNT)
    if getattr(model.config, "sliding_window", None) is None:
        assert tokens != other
