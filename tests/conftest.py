"""What all tests share: the option that rewrites golden files, and random event streams."""

import importlib.util
import sys
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden instead of comparing")


@pytest.fixture(scope="session")
def streams():
    """The module ``tests/trace/streams.py``: random valid runs without an engine."""
    name = "pagedviz_test_streams"
    if name not in sys.modules:
        path = Path(__file__).parent / "trace" / "streams.py"
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def golden():
    """The folder of golden files."""
    return Path(__file__).parent / "golden"
