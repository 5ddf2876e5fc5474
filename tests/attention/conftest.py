"""Puts the neighbours of these tests on the path: importlib mode does not."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("late")  # they tell what differs, and check under python -O too
