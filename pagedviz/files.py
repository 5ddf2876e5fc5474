"""How a file of the user's is written: whole or not at all, and nothing but a plain file is ever replaced.

A plain file keeps its mode. A symbolic link is followed: the file that it leads to is written. A device, a FIFO and
what is our own output (``/dev/stdout``) are written into. Knows nothing of what is in the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
from pathlib import Path

from pagedviz.errors import ConfigError, TraceFileError


def write(path: str | os.PathLike[str], data: bytes, what: str = "trace") -> None:
    """Write a file: what opens it sees all of the new bytes or all of the old ones.

    Args:
        path: a file, new or not, a link to one, a FIFO, a device. Another hard link to the same file keeps the old
            bytes. A FIFO's or device's bytes go out as they are written.
        data: what is to be in it.
        what: what messages call it.

    Raises:
        ConfigError: the path is none.
        TraceFileError: the folder is not there, or cannot be written to, or no file can have that name.
    """
    target = as_path(path)
    try:
        there = _status(target)
        if there is None or stat.S_ISREG(there.st_mode):
            stream = _own_stream(there)
            if stream is None:
                _replace(Path(os.path.realpath(target)), data, there)
            else:
                _write_into(stream, data)
        else:
            _write_into(_own_stream(there) or os.fspath(target), data)
    except (OSError, ValueError) as error:
        raise TraceFileError(f"cannot write the {what} {os.fspath(path)!r}: {why(error)}") from error


def check_writable(path: str | os.PathLike[str], what: str) -> None:
    """Refuse a file that cannot be written, before anything is computed for it. Changes nothing.

    Raises:
        ConfigError: the path is none.
        TraceFileError: the folder is not there or cannot be written to, or the path is a folder.
    """
    target = as_path(path)
    try:
        there = _status(target)
        if there is not None:
            _check_access(target, there)
        if there is None or stat.S_ISREG(there.st_mode):
            folder = Path(os.path.realpath(target)).parent
            if not folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            if _own_stream(there) is None and not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        raise TraceFileError(f"cannot write the {what} {os.fspath(path)!r}: {why(error)}") from error


def as_path(path: str | os.PathLike[str]) -> Path:
    """The path, if it is one.

    Raises:
        ConfigError: it is none.
    """
    try:
        return Path(path)
    except TypeError as error:
        raise ConfigError(f"path={path!r}: must be a text or a pathlib.Path") from error


def why(error: OSError | ValueError) -> str:
    """What the system says of a file; a ``ValueError`` is about a name that none can have, say with a NUL in it."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _status(target: Path) -> os.stat_result | None:
    """What is there, behind links; None if nothing is, be it behind a link."""
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def _check_access(target: Path, there: os.stat_result) -> None:
    """Raise if what is there may not be written, or is a folder."""
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _own_stream(there: os.stat_result | None) -> int | None:
    """The number of our standard output or error if that is what is there.

    ``/dev/stdout`` may be a plain file, by ``>``: replaced, what is printed later would be lost.
    """
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            if there is not None and os.path.samestat(os.fstat(number), there):
                if stream is not None:
                    stream.flush()
                return number
    return None


def _write_into(place: int | str, data: bytes) -> None:
    """Write to what is open under a number, or to what a path leads to, which stays what it is."""
    with open(place, "wb", closefd=not isinstance(place, int)) as file:
        file.write(data)


def _replace(target: Path, data: bytes, there: os.stat_result | None) -> None:
    """Put a new plain file in the place of the one that is there, with its mode and, where we may, its owner."""
    if there is not None:
        _check_access(target, there)
    temporary = target.with_name(f".pagedviz-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        if there is not None:
            if hasattr(os, "chown"):  # before the mode: it takes the set-user-id bit away
                with contextlib.suppress(OSError):
                    os.chown(temporary, there.st_uid, there.st_gid)
            temporary.chmod(stat.S_IMODE(there.st_mode))
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)
