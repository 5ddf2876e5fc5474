"""Real tokens through the Triton kernels, in Triton's interpreter, where there is no accelerator."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

SCRIPT = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("shared", sys.argv[1])
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
import pagedviz as pv
prompts = [[5], [7, 8, 9, 10, 11], [3] * 9]
params = {"temperature": 0.0, "max_tokens": 6, "ignore_eos": True}
answers = {}
for family in ("llama", "gemma2"):
    model = shared.build_tiny(family, num_hidden_layers=2, head_dim=16)
    for attention in ("triton", "torch"):
        engine = pv.Engine(model, attention=attention, block_size=4, num_device_blocks=40,
                           max_num_batched_tokens=8, max_num_seqs=8)
        outputs = engine.generate(prompts[:-1], **params) + engine.generate(prompts[-1], n=2, **params)
        engine.audit()
        answers[family, attention] = [s.token_ids for o in outputs for s in o.outputs]
    assert answers[family, "triton"] == answers[family, "torch"], answers
print(json.dumps(answers["llama", "triton"]))
"""


def test_triton_generates_the_tokens_of_the_other_backends(tiny):
    import pagedviz as pv

    conftest = Path(__file__).parents[1] / "conftest.py"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(conftest)],
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    engine = pv.Engine(tiny("llama", num_hidden_layers=2, head_dim=16), attention="numba", block_size=4)
    outputs = engine.generate([[5], [7, 8, 9, 10, 11]], temperature=0.0, max_tokens=6, ignore_eos=True)
    outputs += engine.generate([3] * 9, n=2, temperature=0.0, max_tokens=6, ignore_eos=True)
    assert found == [list(sample.token_ids) for output in outputs for sample in output.outputs]


def test_triton_without_accelerator_or_interpreter_is_refused(tiny, monkeypatch):
    import torch

    import pagedviz as pv

    if torch.cuda.is_available():
        pytest.skip("there is an accelerator")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(pv.BackendUnavailable, match="TRITON_INTERPRET"):
        pv.Engine(tiny("llama"), attention="triton")
