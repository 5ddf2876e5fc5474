"""Every Triton kernel compiles for NVIDIA and AMD GPUs without one being here, and spills no register.

The work is done by `static_compile` in a process of its own, two kernels at a time: some of its configurations, and
with PAGEDVIZ_NIGHTLY=1 all.
"""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

USUAL = ["--dtypes", "bf16", "--head-dims", "64", "80", "256"]  # a power of two, one that is padded, the largest
CHOSEN = [] if os.environ.get("PAGEDVIZ_NIGHTLY") == "1" else USUAL


@pytest.fixture(scope="module")
def reports():
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("static_compile.py")), *CHOSEN]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_every_kernel_was_compiled_for_every_target(reports):
    counted = collections.Counter((report["target"], report["kernel"]) for report in reports)
    assert {target for target, _ in counted} == {"sm_80", "sm_90", "gfx942"}
    for target in ("sm_80", "sm_90", "gfx942"):
        assert {kernel for at, kernel in counted if at == target} == {"decode", "merge", "prefill", "write", "copy"}


def test_no_kernel_spills_a_register(reports):
    assert [report for report in reports if report["spills"]] == []


def test_attention_runs_on_matrix_units(reports):
    attention = [report for report in reports if report["kernel"] in {"decode", "prefill"}]
    assert attention
    assert [report for report in attention if not report["mma"]] == []


def test_keys_and_values_travel_in_16_byte_pieces(reports):
    attention = [report for report in reports if report["kernel"] in {"decode", "prefill"}]
    narrow = [r for r in attention if not r.get("cp_async_16", r["load_16"])]
    assert narrow == []


def test_attention_fits_the_shared_memory_of_a_small_gpu(reports):
    assert max(report["shared"] for report in reports) <= 64 * 1024
