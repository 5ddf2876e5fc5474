"""Terminals that do not know every character, readers that leave, and tables in little room."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pagedviz as pv
from pagedviz.cli import main
from pagedviz.commands.bench import BENCHMARKS
from pagedviz.commands.tables import cell, show_table

ROWS = json.loads((Path(__file__).parent / "bench_rows.json").read_text(encoding="utf-8"))
"""Benchmark -> rows as it made them once (``pagedviz bench NAME --json``)."""


@pytest.fixture(scope="module")
def foreign(golden, tmp_path_factory):
    """A trace whose texts and names have characters of several alphabets, and one that is half a pair."""
    trace = pv.Trace.load(golden / "tiny_run.pvtrace")
    data = trace.to_bytes().decode()
    named = data.replace('"r0"', '"r\u00e90 \u2192 \U0001f336"')
    path = tmp_path_factory.mktemp("foreign") / "run.pvtrace"
    path.write_bytes(named.encode())
    assert pv.Trace.load(path).events != trace.events
    return str(path)


def pagedviz(*arguments, encoding=None, **options):
    told = {"PYTHONIOENCODING": encoding} if encoding and encoding != "C" else {}
    told |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"} if encoding == "C" else {}
    command = [sys.executable, "-m", "pagedviz", *arguments]
    return subprocess.run(
        command, env={**os.environ, **told}, capture_output=True, timeout=120, check=False, **options
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict", "C", "cp1252"])
@pytest.mark.parametrize("option", ["--text", "--json"])
def test_what_a_terminal_cannot_show_is_replaced(foreign, encoding, option):
    done = pagedviz("view", foreign, option, encoding=encoding)

    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode("latin-1")
    if option == "--json":
        assert "r\u00e90 \u2192 \U0001f336" in json.loads(shown)["requests"]  # escaped: nothing is lost
    else:
        assert "0 ? ?, finished" in shown or "0 ? ?, running" in shown


def test_info_and_help_say_everything_in_ascii(foreign):
    assert pagedviz("info", foreign, encoding="ascii").returncode == 0
    assert pagedviz("bench", "--help", encoding="ascii").returncode == 0


def test_a_name_that_is_no_text_is_shown(foreign, tmp_path):
    """A file's name may be bytes that are no UTF-8: Python has them as halves of pairs."""
    target = os.fsencode(tmp_path) + b"/\xff.svg"

    done = pagedviz("view", foreign, "--text", "--svg", target)

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"/?.svg" in done.stdout.replace(b"\n", b"").replace("\ufffd".encode(), b"?")


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [
        *itertools.product(["--help", "--version", "view RUN --json", "view RUN --text", "info RUN"], ["", "1"]),
        ("info", ""),
        ("bench trace --events 200", "1"),
    ],
)
def test_a_reader_who_leaves_ends_it_quietly(foreign, command, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pagedviz", *command.replace("RUN", foreign).split()],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_told_once(foreign):
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "pagedviz", "view", foreign, "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)

    assert done.returncode == 1
    assert done.stderr == b"pagedviz view: [Errno 28] No space left on device\n"


def shown(rows, heads, width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    show_table(rows, heads)
    return capsys.readouterr().out


def check_whole(rows, text, width):
    """No line is too long, nothing is shortened, and every number stands in one piece."""
    assert all(len(line) <= width for line in text.splitlines())
    assert "\u2026" not in text
    words = text.replace(";", " ").replace(",", "").split()
    for row in rows:
        for value in row.values():
            if isinstance(value, int | float):
                assert cell(value).replace(",", "") in words


@pytest.mark.parametrize("width", [80, 60, 40])
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_table_is_readable(name, width, capsys, monkeypatch):
    assert name in ROWS, f"add rows of it: pagedviz bench {name} --json"

    check_whole(ROWS[name], shown(ROWS[name], BENCHMARKS[name].heads, width, capsys, monkeypatch), width)


@pytest.mark.parametrize("name", ["waste", "throughput", "swap", "trace"])
def test_heads_have_units(name, capsys, monkeypatch):
    text = shown(ROWS[name], BENCHMARKS[name].heads, 80, capsys, monkeypatch)

    assert {"waste": "[%]", "throughput": "[tokens/s]", "swap": "[GB/s]", "trace": "unit"}[name] in text


NAMES = st.text("abcdefgh_", min_size=1, max_size=24)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(0, 1e6).map(lambda x: round(x, 2))
)


@given(st.lists(NAMES, min_size=1, max_size=14, unique=True), st.integers(1, 7), st.integers(30, 90), st.data())
def test_no_table_shortens_a_number(names, count, width, data):
    rows = [{name: data.draw(VALUES) for name in names} for _ in range(count)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        from rich.console import Console

        told = Console(width=width)
        patch.setattr("pagedviz.commands.tables.console", lambda: told)
        with told.capture() as captured:
            show_table(rows)
    check_whole(rows, captured.get(), width)


def test_a_benchmark_prints_its_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")

    assert main(["bench", "trace", "--events", "300", "--rounds", "1"]) == 0

    told = capsys.readouterr().out
    assert "json.loads" in told
    assert "events/s" in told
    assert "\u2026" not in told
