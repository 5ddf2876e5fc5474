"""What a file of the user's is when it has been written: links, modes, FIFOs and devices stay what they are."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pagedviz as pv
from pagedviz.cli import main
from pagedviz.errors import TraceFileError
from pagedviz.files import check_writable, write

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, modes and devices of POSIX")


@pytest.fixture
def run(golden):
    """A trace and its path."""
    path = golden / "tiny_run.pvtrace"
    return pv.Trace.load(path), str(path)


WRITERS = {
    "save": lambda trace, source, path: trace.save(path),
    "to_html": lambda trace, source, path: trace.to_html(path),
    "to_perfetto": lambda trace, source, path: trace.to_perfetto(path),
    "--svg": lambda trace, source, path: main(["view", source, "--svg", str(path), "--json"]),
    "--html": lambda trace, source, path: main(["view", source, "--html", str(path), "--json"]),
    "--csv": lambda trace, source, path: main(
        ["bench", "trace", "--events", "200", "--rounds", "1", "--csv", str(path)]
    ),
}


@pytest.fixture(params=WRITERS)
def writes(request, run):
    """``writes(path)``: one of the ways to write a file."""
    return lambda path: WRITERS[request.param](*run, path)


def test_links_are_followed(writes, tmp_path):
    target = tmp_path / "folder" / "target"
    target.parent.mkdir()
    target.write_bytes(b"old")
    (tmp_path / "link").symlink_to("folder/target")
    (tmp_path / "link of link").symlink_to("link")

    writes(tmp_path / "link of link")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "link of link").is_symlink()
    assert len(target.read_bytes()) > 100
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_link_to_what_is_not_there_yet_makes_it(writes, tmp_path):
    (tmp_path / "link").symlink_to("new")

    writes(tmp_path / "link")

    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "new").read_bytes()) > 100


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_an_existing_file_keeps_its_mode(writes, tmp_path, mode):
    path = tmp_path / "run"
    path.write_bytes(b"old")
    path.chmod(mode)

    writes(path)

    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert len(path.read_bytes()) > 100


def test_a_fifo_is_written_into(writes, tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(path.read_bytes()), daemon=True)
    reader.start()

    writes(path)

    reader.join(60)
    assert len(heard[0]) > 100
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.fixture
def null(tmp_path):
    """A device like ``/dev/null``. Root gets one of its own: a fault here would replace the machine's."""
    if os.geteuid() != 0:
        return Path(os.devnull)
    try:
        os.mknod(tmp_path / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        (tmp_path / "device").write_bytes(b"")
    except OSError as error:
        pytest.skip(f"no device can be made here: {error}")
    return tmp_path / "device"


def test_a_device_is_written_into(writes, null, tmp_path):
    (tmp_path / "link").symlink_to(null)

    writes(null)
    writes(tmp_path / "link")

    assert stat.S_ISCHR(null.stat().st_mode)
    assert (tmp_path / "link").is_symlink()


def test_a_full_device_is_told(run):
    with pytest.raises(TraceFileError, match="cannot write the trace '/dev/full': No space left on device"):
        run[0].save("/dev/full")


def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "new", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run"
    path.write_bytes(b"old")
    (tmp_path / "link").symlink_to("run")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(TraceFileError, match="No space left on device"):
        write(tmp_path / "link", b"new")

    assert path.read_bytes() == b"old"
    assert {entry.name for entry in tmp_path.iterdir()} == {"run", "link"}


def test_a_loop_of_links_is_told(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    for use in (lambda path: write(path, b"x"), lambda path: check_writable(path, "trace")):
        with pytest.raises(TraceFileError, match=r"cannot write the trace .*symbolic links"):
            use(tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path):
    path = tmp_path / "run"
    path.write_bytes(b"old")
    path.chmod(0o400)

    with pytest.raises(TraceFileError, match="Permission denied"):
        write(path, b"new")

    assert path.read_bytes() == b"old"


def test_looking_whether_a_file_can_be_written_changes_nothing(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("new")

    for name in ("old", "fifo", "link", "fresh"):
        check_writable(tmp_path / name, "trace")  # a FIFO is not opened: that would wait for a reader

    assert {path.name for path in tmp_path.iterdir()} == {"old", "fifo", "link"}
    with pytest.raises(TraceFileError, match="No such file or directory"):
        check_writable(tmp_path / "nowhere" / "x", "trace")
    (tmp_path / "astray").symlink_to("nowhere/x")
    with pytest.raises(TraceFileError, match="No such file or directory"):
        check_writable(tmp_path / "astray", "trace")


def test_standard_output_by_name_comes_before_what_is_printed(run, tmp_path):
    command = [sys.executable, "-m", "pagedviz", "view", run[1], "--text", "--svg", "/dev/stdout"]
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(command, stdout=out, check=True, timeout=120)

    told = (tmp_path / "out").read_text(encoding="utf-8")
    assert told.startswith("<svg")
    assert told.endswith("picture: /dev/stdout\n")
    piped = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
    assert piped.decode() == told
