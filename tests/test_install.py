"""The pinned versions can be had from the package registry alone, on every Python and system that README names.

Nothing is installed: `uv` resolves for Pythons and systems that are not here, from what the registry says of each
wheel. In CI, and with PAGEDVIZ_NIGHTLY=1, pip says so too, under every supported Python that lies on the machine.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from subprocess import PIPE

import pytest
import uv

ROOT = Path(__file__).parents[1]
THOROUGH = os.environ.get("PAGEDVIZ_NIGHTLY") == "1"
CI = os.environ.get("CI") == "true"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LINUX = "x86_64-manylinux_2_28"
SYSTEMS = (LINUX, "aarch64-manylinux_2_28", "aarch64-apple-darwin", "windows")
CASES = [
    (python, system)
    for system in SYSTEMS
    for python in (PYTHONS if system == LINUX or THOROUGH else ["3.12"] if CI or "linux" not in system else [])
]
APART = {"marimo", "notebook"}
"""Pins that only `tests/browser/test_hosts.py` installs."""
WRONG = "a torch and a Triton that it refuses"
OFFLINE = re.compile(
    r"dns error|tcp connect error|error sending request|client error \(Connect\)|Failed to establish"
)


def from_the_registry(**more):
    """An environment in which no other place for packages is known than the registry."""
    kept = {name: value for name, value in os.environ.items() if not re.match(r"PIP_(?!CERT)|UV_", name)}
    if "PIP_CERT" in os.environ:
        kept["SSL_CERT_FILE"] = os.environ["PIP_CERT"]
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", **more}


def start(python, system, cache, constraints="constraints.txt"):
    """Begin to resolve what `make` would install there; most of that is waiting for the registry."""
    command = [
        uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:",
        "--cache-dir", str(cache), "--python-version", python, "--python-platform", system,
        "--constraints", str(constraints), "--extra", "lab", "pyproject.toml",
    ]  # fmt: skip
    # Developing needs a minifier that has no wheel for macOS.
    command += ["--extra", "dev"] if "manylinux" in system else []
    # torch's wheels for macOS begin at 14, and uv thinks of an older one.
    environment = from_the_registry(MACOSX_DEPLOYMENT_TARGET="14.0")
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE, text=True)


def finish(process):
    """Wait for a process; its exit status and both its outputs."""
    out, err = process.communicate()
    if OFFLINE.search(err) and not CI:
        pytest.skip("the package registry cannot be reached")
    return process.returncode, out, err


@pytest.fixture(scope="module")
def resolving(tmp_path_factory):
    """Processes that resolve the constraints, all at the same time: {(python, system): process}; and wrong ones."""
    cache = tmp_path_factory.mktemp("uv")
    started = {case: start(*case, cache) for case in CASES}
    wrong = cache / "constraints.txt"
    wrong.write_text(f"torch=={pins()['torch']}\ntriton==3.9.0\n", encoding="utf-8")
    started[WRONG] = start("3.12", LINUX, cache, wrong)
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    plain = filter(None, (line.partition("#")[0].strip().replace("_", "-") for line in lines))
    return dict(line.split("==") for line in plain)


@pytest.mark.parametrize(("python", "system"), CASES)
def test_the_constraints_resolve(resolving, python, system):
    status, out, err = finish(resolving[python, system])
    assert status == 0, err
    chosen = dict(line.split("==") for line in out.split())
    pinned = {name: version for name, version in pins().items() if name not in APART}
    assert {"torch", "transformers", "jupyterlab"} <= chosen.keys()
    if "manylinux" in system:
        assert pinned.keys() <= chosen.keys()
    assert {name: version for name, version in chosen.items() if name in pinned}.items() <= pinned.items()


def test_a_pin_that_another_package_refuses_is_noticed(resolving):
    """The fault that this file was written for: torch asks for another Triton than the constraints do."""
    status, _, err = finish(resolving[WRONG])
    assert status != 0
    assert "triton" in err


def test_the_supported_pythons_are_the_ones_that_resolve():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"] == ">=3.11,<3.15"
    assert project["tool"]["mypy"]["python_version"] == PYTHONS[0]
    assert project["tool"]["ruff"]["target-version"] == "py" + PYTHONS[0].replace(".", "")
    assert "Python 3.11 to 3.14" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_an_environment_stays_when_a_python_that_is_too_old_is_asked_for(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("environment", ROOT / "scripts" / "environment.py")
    environment = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(environment)
    there = tmp_path / ".venv"
    monkeypatch.setattr(environment, "PLACE", there)
    monkeypatch.setattr(environment, "STAMP", there / ".ready")
    environment.executable().parent.mkdir(parents=True)
    environment.executable().touch()
    environment.stamp({"python": "/usr/bin/python3.12", "version": "3.12.1", "torch": "default"})
    monkeypatch.setattr(environment, "version", lambda: "3.10.13")
    monkeypatch.setattr(sys, "argv", ["environment.py", "--python", "python3.10"])
    with pytest.raises(SystemExit, match=r"is Python 3\.10\.13; pagedviz runs on 3\.11 to 3\.14"):
        environment.main()
    assert capsys.readouterr().out == "", "it does not say that anything is made anew"
    assert environment.read_stamp()["version"] == "3.12.1"


def interpreters():
    """The supported Pythons of this machine, one of each version: (version, path)."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for version in PYTHONS:
        places = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
        for place in filter(None, places):
            ask = [str(place), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            said = subprocess.run(ask, capture_output=True, text=True, check=False)
            if said.stdout.strip() == version:  # pyenv's shims are there for versions that they then refuse
                found.setdefault(version, str(place))
    return found


@pytest.mark.skipif(not (CI or THOROUGH), reason="a minute for each Python: in CI, or with PAGEDVIZ_NIGHTLY=1")
@pytest.mark.parametrize("python", PYTHONS)
def test_pip_finds_the_same_under_every_python_that_is_here(python):
    place = interpreters().get(python)
    if place is None:
        pytest.skip(f"there is no Python {python} on this machine")
    command = [
        sys.executable, "-m", "pip", "--python", place, "install", "--dry-run", "--ignore-installed", "--quiet",
        "--use-feature=fast-deps",  # reads what a wheel says of itself, and leaves gigabytes where they are
        "-c", "constraints.txt", "-e", ".[lab,dev]",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, env=from_the_registry(), stdout=PIPE, stderr=PIPE, text=True)
    status, _, err = finish(process)
    assert status == 0, err
