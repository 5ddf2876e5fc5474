"""A real engine with a model of random weights, small enough for every test to have its own."""

import importlib.util
from pathlib import Path

import pytest

_TINY = Path(__file__).parents[1] / "browser" / "tiny.py"


@pytest.fixture(scope="session")
def tiny():
    spec = importlib.util.spec_from_file_location("tiny", _TINY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def engine(tiny):
    engine = tiny.tiny_engine(num_device_blocks=64)
    yield engine
    engine.audit()
