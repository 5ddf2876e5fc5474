"""Compiled loops run where nothing can be written: a read-only install without a home, a full disk."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

ROOT = Path(__file__).parents[2]
TOLD = "compiled loops are not kept"

START = """
import importlib.machinery, sys
# Before the finder of an editable install: what is imported is the copy.
sys.meta_path.insert(0, importlib.machinery.PathFinder)
sys.path.insert(0, sys.argv[1])
"""
GENERATE = """
import torch, transformers
import pagedviz as pv
assert pv.__file__.startswith(sys.argv[1])
config = transformers.LlamaConfig(
    vocab_size=100, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
    num_key_value_heads=2, initializer_range=.3, eos_token_id=None)
torch.manual_seed(1)
model = transformers.LlamaForCausalLM(config).eval()
engine = pv.Engine(model, attention="numba", block_size=4, num_device_blocks=16)
print(engine.generate([[3, 4, 5]], pv.SamplingParams(max_tokens=4, temperature=0))[0].outputs[0].token_ids)
options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
print(tuple(model.generate(torch.tensor([[3, 4, 5]]), attention_mask=torch.ones(1, 3), **options)[0, 3:].tolist()))
"""
LOOPS = """
import numpy as np
from pagedviz_kernels import cpu_loops
assert cpu_loops.__file__.startswith(sys.argv[1])
rows = np.arange(4, dtype=np.float32).reshape(2, 1, 2)
caches, out = np.zeros((2, 2, 2, 1, 2), np.float32), np.empty((1, 2, 2), np.float32)
cpu_loops.write_rows(rows, rows, *caches, np.array([3, 0]))
cpu_loops.gather_rows(caches[1], np.array([1, 0], np.int32), 1, out)
print(out.tolist())
"""
"""Two loops that are compiled quickly: the rows in slots 3 and 0 are read from the blocks in their other order."""
GATHERED = "[[[0.0, 1.0], [2.0, 3.0]]]\n"


@pytest.fixture
def installed(tmp_path):
    """A copy of both packages, without anything that was compiled."""
    for package in (ROOT / "pagedviz", ROOT / "kernels" / "pagedviz_kernels"):
        shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(code, folder, home, **options):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "XDG"))}
    environment |= {"NUMBA_OPT": "0"}  # how quick the loops are is no matter here, only whether they run
    return subprocess.run(
        [sys.executable, "-B", "-c", START + code, str(folder)],
        env=environment | {"HOME": str(home)}, capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


def test_an_engine_runs_in_a_read_only_install_without_a_home(installed):
    # Root may write everywhere, but even root makes no folder where there is a file.
    for folder in [path for path in installed.rglob("*") if path.is_dir()]:
        (folder / "__pycache__").touch()
    done = run(GENERATE, installed, home=os.devnull)
    assert done.returncode == 0, done.stderr
    ours, theirs = done.stdout.splitlines()
    assert ours == theirs
    assert done.stderr.count(TOLD) == 1


def test_a_loop_runs_when_the_disk_is_full(installed, tmp_path):
    def no_file_may_grow():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = run(LOOPS, installed, home=tmp_path / "home", preexec_fn=no_file_may_grow)
    assert done.returncode == 0, done.stderr
    assert done.stdout == GATHERED
    assert done.stderr.count(TOLD) == 1


def test_what_was_compiled_is_kept_where_it_can_be(installed, tmp_path):
    done = run(LOOPS, installed, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert done.stdout == GATHERED
    assert TOLD not in done.stderr
    assert list((installed / "pagedviz_kernels" / "__pycache__").glob("cpu_loops.*.nbc"))
