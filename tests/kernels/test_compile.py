"""Every Triton kernel compiles for NVIDIA and AMD GPUs without one being here, and spills no register.

The work is done by `static_compile` in a process of its own, two kernels at a time: some of its configurations, and
with PAGEDVIZ_NIGHTLY=1 all, then also under the newest Triton that the package registry has.
"""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

PROGRAM = Path(__file__).with_name("static_compile.py")
USUAL = ["--dtypes", "bf16", "--head-dims", "80", "256"]  # one that is padded, and the largest
NIGHTLY = os.environ.get("PAGEDVIZ_NIGHTLY") == "1"
CHOSEN = [] if NIGHTLY else USUAL
if NIGHTLY:
    pytestmark = pytest.mark.timeout(
        3600
    )  # all configurations under two Tritons: ten minutes each beside other work


@pytest.fixture(scope="module", params=["pinned", "newest"] if NIGHTLY else ["pinned"])
def reports(request, tmp_path_factory):
    environment = dict(os.environ)
    if request.param == "newest":
        folder = str(tmp_path_factory.mktemp("triton"))
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, "triton"]
        subprocess.run(install, check=True)
        environment["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-W", "error", str(PROGRAM), *CHOSEN]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


PYTHONS_NOTE = "'simple' is missing. This will become an error in Python 3.15."
TRITONS_NOTE = "this kernel's option changes its meaning in Triton 3.10"
WARNED = [("triton.compiler.code_generator", PYTHONS_NOTE)]
REFUSED = [("triton.compiler.code_generator", TRITONS_NOTE), ("pagedviz_kernels.tiles", PYTHONS_NOTE)]


def test_only_what_python_tells_triton_is_no_error():
    code = f"""
import sys, warnings; sys.path.insert(0, {str(PROGRAM.parent)!r}); import static_compile
for module, text in {WARNED + REFUSED!r}:
    try:
        warnings.warn_explicit(text, DeprecationWarning, "file.py", 1, module=module)
    except DeprecationWarning as error:
        assert str(error) == text
        print(module, text)
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [" ".join(case) for case in REFUSED]


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
