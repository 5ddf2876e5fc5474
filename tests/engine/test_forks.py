"""A forked process has no threads to compute with: it is told so at once, instead of hanging or being aborted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TINY = Path(__file__).parents[1] / "browser"
SCRIPT = """
import os, signal, sys
sys.path.insert(0, {tiny!r})
import pagedviz as pv, tiny

def make():
    return tiny.tiny_engine(num_device_blocks=16)

{before}
pid = os.fork()
if pid:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
signal.alarm(100)  # a child that hangs is a failure
try:
    {child}
    print("went on", flush=True)
except pv.SessionError as error:
    print(error, flush=True)
os._exit(0)
"""
USED = "engine = make(); engine.generate([1, 2, 3], max_tokens=3)"
RUNNING = "session = pv.Session(make()); session.submit([1], max_tokens=60, ignore_eos=True); session.step()"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def in_child(before, child):
    script = SCRIPT.format(tiny=str(TINY), before=before, child=child)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("before", "child"),
    [
        (USED, "engine.generate([1, 2, 3], max_tokens=3)"),
        (USED, "engine.add_request([1])"),
        (USED, "engine.stats()"),
        (USED, "make()"),
        (RUNNING, "session.submit([1])"),
        (RUNNING, "session.start()"),
        (RUNNING, "session.pause()"),
        (RUNNING, "session.step()"),
        (RUNNING, "session.stop()"),
        (RUNNING, "session.close()"),
    ],
)
def test_a_fork_of_a_process_with_an_engine_is_told_what_to_do(before, child):
    said = in_child(before, child)

    assert "is a fork of process" in said
    assert "multiprocessing.get_context('spawn')" in said


def test_who_forks_before_the_first_engine_can_compute():
    assert in_child("", "make().generate([1, 2, 3], max_tokens=3)") == "went on"
