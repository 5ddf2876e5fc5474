"""A forked process has no threads to compute with: it is told so at once, instead of hanging or being aborted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TINY = Path(__file__).parents[1] / "browser"
SCRIPT = """
import json, os, signal, sys
sys.path.insert(0, {tiny!r})
import pagedviz as pv, tiny

def make():
    return tiny.tiny_engine(num_device_blocks=16)

def in_child(code):
    signal.alarm(100)  # a child that hangs is a failure
    try:
        exec(code)
        return "went on"
    except pv.SessionError as error:
        return str(error)

for before, children in json.loads(sys.argv[1]).items():
    exec(before)
    for child in children:
        pid = os.fork()
        if not pid:
            print(json.dumps([child, in_child(child)]), flush=True)
            os._exit(0)
        if status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            sys.exit(status)
"""
USED = "engine = make(); engine.generate([1, 2, 3], max_tokens=3)"
RUNNING = "session = pv.Session(make()); session.submit([1], max_tokens=60, ignore_eos=True); session.step()"
GENERATE = "make().generate([1, 2, 3], max_tokens=3)"
CASES = {
    "": [GENERATE],
    USED: ["engine.generate([1, 2, 3], max_tokens=3)", "engine.add_request([1])", "engine.stats()", "make()"],
    RUNNING: [f"session.{call}" for call in ("submit([1])", "start()", "pause()", "step()", "stop()", "close()")],
}
"""What a process does, one after the other, and then its forks try."""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(scope="module")
def said():
    """What each fork was told, or "went on"."""
    command = [sys.executable, "-c", SCRIPT.format(tiny=str(TINY)), json.dumps(CASES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("child", CASES[USED] + CASES[RUNNING])
def test_a_fork_of_a_process_with_an_engine_is_told_what_to_do(said, child):
    assert "is a fork of process" in said[child]
    assert "multiprocessing.get_context('spawn')" in said[child]


def test_who_forks_before_the_first_engine_can_compute(said):
    assert said[GENERATE] == "went on"
