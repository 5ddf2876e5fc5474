"""Real tokens through every attention backend: prompts in chunks, shared blocks that are copied, swaps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from driving import GREEDY, drive, same

import pagedviz as pv
from pagedviz.attention import BACKENDS, select_backend

PROMPTS = [[5], [7, 8, 9, 10, 11], [3] * 9, [20 + i for i in range(14)]]

SCRIPT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("shared", sys.argv[1])
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
import torch
import pagedviz as pv
from pagedviz.attention import select_backend
try:
    select_backend(sys.argv[2], torch.device("cpu"))
except pv.BackendUnavailable as error:
    print("unavailable:", error)
    sys.exit()
prompts = [[5], [7, 8, 9, 10, 11], [3] * 9]
params = {"temperature": 0.0, "max_tokens": 6, "ignore_eos": True}
for family in ("llama", "gemma2"):
    model = shared.build_tiny(family, num_hidden_layers=2, head_dim=16)
    answers = []
    for attention in (sys.argv[2], "torch"):
        engine = pv.Engine(model, attention=attention, block_size=4, num_device_blocks=40,
                           max_num_batched_tokens=8, max_num_seqs=8)
        outputs = engine.generate(prompts[:-1], **params) + engine.generate(prompts[-1], n=2, **params)
        engine.audit()
        answers.append([s.token_ids for o in outputs for s in o.outputs])
    assert answers[0] == answers[1], (family, answers)
"""


@pytest.mark.parametrize("attention", BACKENDS)
def test_every_backend_gives_the_tokens_of_transformers(model, reference, attention):
    try:
        select_backend(attention, torch.device("cpu"))
    except pv.BackendUnavailable as error:
        pytest.skip(f"see below: {error}")
    engine = pv.Engine(
        model,
        attention=attention,
        block_size=4,
        num_device_blocks=14,
        num_host_blocks=40,
        max_num_batched_tokens=8,
        max_num_seqs=8,
        preemption="swap",
    )
    ids = [engine.add_request(prompt, **{**GREEDY, "n": 1 + index % 2}) for index, prompt in enumerate(PROMPTS)]
    outputs, _ = drive(engine, ids)
    for prompt, output in zip(PROMPTS, outputs, strict=True):
        for sample in output.outputs:
            assert same(list(sample.token_ids), model, prompt, reference), prompt
    stats = engine.stats()
    assert stats["num_preemptions_swap"] > 0


@pytest.mark.parametrize("attention", BACKENDS)
def test_what_needs_an_accelerator_gives_the_tokens_of_torch_in_the_interpreter(attention):
    try:
        select_backend(attention, torch.device("cpu"))
    except pv.BackendUnavailable:
        pass
    else:
        pytest.skip("it needs no accelerator: see above")
    conftest = Path(__file__).parents[1] / "conftest.py"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(conftest), attention],
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    if "unavailable:" in done.stdout:
        pytest.skip(done.stdout)


def test_triton_without_accelerator_or_interpreter_is_refused(tiny, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is an accelerator")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(pv.BackendUnavailable, match="TRITON_INTERPRET"):
        pv.Engine(tiny("llama"), attention="triton")
