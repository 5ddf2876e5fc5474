"""A real engine with a model of random weights, small enough for every test to have its own."""

import importlib.util
import sys
import threading
from pathlib import Path

import pytest

import pagedviz as pv

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("stopping")  # they tell what differs, and check under python -O too

from stopping import PRESSED  # noqa: E402 - it is on the path from here on

_TINY = Path(__file__).parents[1] / "browser" / "tiny.py"


@pytest.fixture(scope="session")
def tiny():
    spec = importlib.util.spec_from_file_location("tiny", _TINY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def no_thread_left():
    """Whoever starts a run ends it: a thread that is left would be counted by other tests."""
    yield
    assert [thread for thread in threading.enumerate() if thread.name == "pagedviz-engine"] == []


@pytest.fixture
def engine(tiny):
    engine = tiny.tiny_engine(num_device_blocks=64)
    yield engine
    engine.audit()


@pytest.fixture
def pressed(tiny):
    """A session whose engine has too little memory: everything that can be foretold happens."""
    engine = tiny.tiny_engine(**PRESSED)
    with pv.Session(engine) as session:
        for number in range(3):
            session.submit([number + 1] * 9, max_tokens=16, temperature=0, ignore_eos=True, n=1 + number % 2)
        yield session
    engine.audit()
