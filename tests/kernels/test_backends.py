"""Every attention backend against dense attention in float64: those of ``BACKENDS``, which no test lists again.

What can be had on a CPU is tested in this process. Each of the others gets a process of its own with Triton's
interpreter, in which a Triton kernel must be imported.
"""

import os
import subprocess
import sys

import pytest
import torch
from agreement import EveryOperation
from cases import Case

from pagedviz.attention import BACKENDS, select_backend
from pagedviz.errors import BackendUnavailable

CPU = torch.device("cpu")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
THOROUGH = os.environ.get("PAGEDVIZ_NIGHTLY") == "1"
REPEATS = "dtypes_are_right or every_head_dim_and_group and not (7-64 or 3-80 or 1-96 or 3-128)"
"""What the interpreter, which is slow, does only with PAGEDVIZ_NIGHTLY=1: float32, its only dtype, once more with
the options that have tests of their own; and every group with every head_dim, not only each with one."""


def why_missing(name):
    """Why a backend cannot be had on the CPU; empty if it can."""
    try:
        select_backend(name, CPU)
    except BackendUnavailable as error:
        return str(error)
    return ""


MISSING = {name: why for name in BACKENDS if (why := why_missing(name))}


@pytest.fixture(params=[name for name in BACKENDS if name not in MISSING])
def backend(request):
    """A module with the five operations."""
    return select_backend(request.param, CPU)[1]


@pytest.fixture
def dtypes():
    """The interpreter computes bfloat16 wrongly, and takes long for every dtype."""
    return (torch.float32,) if INTERPRETED else (torch.float32, torch.float16, torch.bfloat16)


class TestBackends(EveryOperation):
    pass


@pytest.mark.skipif(not INTERPRETED, reason="for the process with the interpreter")
def test_triton_refuses_bfloat16_because_the_interpreter_computes_it_wrongly():
    triton_ops = pytest.importorskip("pagedviz_kernels.triton_ops")
    case = Case((5,), dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="interpreter computes bfloat16 wrongly"):
        case.decode(triton_ops)


@pytest.mark.skipif(INTERPRETED, reason="this is the process with the interpreter")
@pytest.mark.parametrize("name", MISSING)
def test_a_backend_that_needs_an_accelerator_is_right_in_the_interpreter(name):
    chosen = name if THOROUGH else f"{name} and not ({REPEATS})"
    options = ["-q", "-p", "no:cacheprovider", "-p", "pytest_timeout", "--durations=5", "-k", chosen]
    command = [sys.executable, "-m", "pytest", *options, __file__]
    # One thread: the interpreter's numpy works on tiles too small to share. No plugins but ours: they take long.
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == pytest.ExitCode.NO_TESTS_COLLECTED:
        pytest.skip(f"neither on a CPU nor in the interpreter: {MISSING[name]}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert " skipped" not in run.stdout
