"""``python -O`` leaves asserts out: everything works the same without them. pytest keeps those of the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PART = [
    "tests/memory/test_hierarchy.py",
    "tests/trace/test_dataframe.py",
    "tests/trace/test_hierarchy.py",
    "tests/lab/test_shadow.py",
]
"""The part of the suite that moves most between the tiers, keeps most counts, and ends in exported traces."""
WITH_ENGINE = [
    "tests/lab/test_cache_replay.py",
    "tests/lab/test_shadow.py::test_the_state_of_the_engine_and_its_rival_that_pages_have_one_split",
]
"""With PAGEDVIZ_NIGHTLY=1 also what needs an engine: packages are not stored as ``-O`` compiles them, and torch and
transformers take longer to compile than all these tests to run."""
THOROUGH = os.environ.get("PAGEDVIZ_NIGHTLY") == "1"

FAILS = """
from helper import check

def test_of_its_own():
    assert not __debug__  # the interpreter leaves asserts out

def test_that_fails():
    assert [].append(1) == 1

def test_that_fails_in_a_helper():
    check()
"""


def pytest_without_asserts(*arguments, folder=ROOT):
    # pytest warns that asserts of the package are left out, which is the point.
    options = ["-q", "-p", "no:cacheprovider", "-p", "pytest_timeout", "-W", "ignore::pytest.PytestConfigWarning"]
    command = [sys.executable, "-O", "-m", "pytest", *options, *arguments]
    # Of the plugins only the one that our settings need: rewriting the asserts of all others takes long.
    told = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, env=told, cwd=folder, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.timeout(520)
def test_a_part_of_the_suite_passes_without_asserts():
    engines = WITH_ENGINE if THOROUGH else [f"--deselect={name}" for name in WITH_ENGINE]

    done = pytest_without_asserts(*PART, *engines)

    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout


def test_tests_and_their_helpers_check_without_asserts_of_the_interpreter(tmp_path):
    (tmp_path / "helper.py").write_text("def check():\n    assert 1 == 2\n")
    (tmp_path / "conftest.py").write_text(
        "import sys, pytest\nsys.path.insert(0, '.')\npytest.register_assert_rewrite('helper')\n"
    )
    (tmp_path / "test_it.py").write_text(FAILS)

    done = pytest_without_asserts(folder=tmp_path)

    assert "2 failed, 1 passed" in done.stdout


def test_help_is_there_without_docstrings():
    command = [sys.executable, "-OO", "-m", "pagedviz", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    assert "record" in done.stdout
