"""Lets the memory tests import their neighbours: importlib mode puts no test folder on the path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("memory_driver", "memory_model", "plain_policies")  # they check under python -O too
