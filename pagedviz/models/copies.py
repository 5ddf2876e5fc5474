"""Converted copies of .gguf files, so that only the first load takes minutes: where they are, and how one is made.

A copy is named by the file's content and by its dtype, and appears whole or not at all, also when several processes
want it at once: one converts, and the others wait for it. Knows nothing of how a model is loaded.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

Loaded = tuple[Any, Any]
"""A model and its tokenizer."""


def cache_folder() -> Path:
    """Where converted copies are kept: ``$PAGEDVIZ_CACHE``, or ``pagedviz`` in the user's cache folder."""
    if own := os.environ.get("PAGEDVIZ_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "pagedviz"


def content_of(file: Path, dtype: str) -> str:
    """What the name of its copy ends with; it begins with the name of the first file that had this content."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return f"{digest[:16]}-{dtype}"


def is_whole(copy: Path) -> bool:
    """True if there is such a copy."""
    return (copy / "config.json").is_file()


def copies() -> dict[Path, int]:
    """The copies that there are, and how many bytes each takes."""
    folder = cache_folder()
    # Names that begin with a dot are of what another process is just writing.
    there = folder.glob("[!.]*") if folder.is_dir() else ()
    found = sorted(filter(is_whole, there))
    return {copy: sum(file.stat().st_size for file in copy.rglob("*") if file.is_file()) for copy in found}


def load_or_convert(
    copy: Path, convert: Callable[[], Loaded], load: Callable[[Path], Loaded], *, content: str = ""
) -> Loaded:
    """Load the copy; if there is none, make it first. Where it cannot be kept, the model is there all the same.

    ``content``: a copy whose name ends with this is as good.
    """
    if there := _equal_copy(copy, content):
        return load(there)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        alone = FileLock(copy.with_name(f".{content or copy.name}.lock")).acquire()
    except OSError as error:
        _say(error)
        return convert()
    with alone:
        there = _equal_copy(copy, content)  # there is one by now if another process was quicker
        if there is None:
            made = convert()
            try:
                _save(made, copy)
            except OSError as error:
                _say(error)
                return made
    return load(there or copy)


def _equal_copy(copy: Path, content: str) -> Path | None:
    if is_whole(copy):
        return copy
    return next((other for other in copies() if content and other.name.endswith(content)), None)


def _say(error: OSError) -> None:
    warnings.warn(f"no copy for the next time can be kept ({error}); set PAGEDVIZ_CACHE", stacklevel=3)


def _save(made: Loaded, copy: Path) -> None:
    model, tokenizer = made
    unfinished = copy.with_name(f".{copy.name}.unfinished")
    for left in (unfinished, copy):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        # The weights are plain by now; transformers would refuse to save what says that it is quantized.
        vars(model.config).pop("quantization_config", None)
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        unfinished.rename(copy)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
