"""Lets the kernel tests import their neighbours: importlib mode puts no test folder on the path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("agreement", "cases")  # they tell what differs, and check under python -O too
