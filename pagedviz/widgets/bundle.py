"""The linker: turns the ES modules of ``static/`` into the one module that anywidget and the HTML page take.

It knows the form our modules keep (imports of ``./name.js`` at the top, names that are unique in all of them)
and refuses anything else. The text travels to the browser with every widget, so ``make bundle`` keeps a copy in
``dist/`` from which a minifier took what a browser does not need. The copy is used while it is of these sources;
whoever edits a module sees the modules themselves. It knows nothing about what the modules do.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from pathlib import Path

DIST = Path(__file__).parent / "dist"
STATIC = Path(__file__).parent / "static"
THEME = Path(__file__).parent.parent / "figures" / "theme.json"
ENTRY = "index.js"

_IMPORT = re.compile(r'^import\s+\{[^}]*\}\s+from\s+"\./([\w.]+)";\n', re.MULTILINE)
_DECLARED = re.compile(r"^(?:export )?(?:async )?(?:const|let|class|function\*?) (\w+)", re.MULTILINE)
_ASIDE = re.compile(r"^[ ]*/\*\*[\s\S]*?\*/\n|^[ ]*//.*\n|^[ ]+", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const|let|class|function|async)", re.MULTILINE)
_EXPORTED = re.compile(r"^export default \{ render \};\nexport \{(.*)\};\n", re.MULTILINE)


def _sources(name: str, seen: dict[str, str], root: Path) -> dict[str, str]:
    """The modules that ``name`` needs, itself last, each after those it imports."""
    if name in seen:
        return seen
    source = (root / name).read_text(encoding="utf-8")
    seen[name] = ""  # stops a cycle; its place in the order is set below
    for needed in _IMPORT.findall(source):
        _sources(needed, seen, root)
    del seen[name]
    seen[name] = source
    return seen


def link(root: Path = STATIC, entry: str = ENTRY) -> str:
    """The modules below ``root`` that ``entry`` needs, as one.

    Raises:
        ValueError: two modules declare the same name, or one imports in a form that the linker does not know.
    """
    owners: dict[str, str] = {}
    parts = []
    for name, source in _sources(entry, {}, root).items():
        text = source
        if name == "theme.js":
            text = f"const THEME = {json.dumps(json.loads(THEME.read_bytes()), separators=(',', ':'))};\n"
        text = _EXPORT.sub("", _IMPORT.sub("", text))
        if re.search(r"^import\b", text, re.MULTILINE):
            raise ValueError(f"{name} imports in a form that the linker does not know")
        for declared in _DECLARED.findall(text):
            if declared in owners:
                raise ValueError(f"{name} and {owners[declared]} both declare {declared}")
            owners[declared] = name
        parts.append(f"// {name}\n{_ASIDE.sub('', text).strip()}\n")
    return _enclosed("\n".join(parts))


def _enclosed(text: str) -> str:
    """The same module with its names inside a function, where a minifier may shorten them."""
    found = _EXPORTED.search(text)
    if not found:
        return text
    names = f"{{ render,{found[1]}}}"
    body = text[: found.start()] + text[found.end() :]
    return (
        f"const {names} = (() => {{\n{body}return {names};\n}})();\n"
        f"export default {{ render }};\nexport {{{found[1]}}};\n"
    )


@functools.cache
def bundle() -> str:
    """The dashboard as one ES module: ``export default {render}`` for anywidget, ``mount`` for pages."""
    return _smaller("dashboard.js", link())


@functools.cache
def stylesheet() -> str:
    """The dashboard's CSS."""
    return _smaller("dashboard.css", (STATIC / "dashboard.css").read_text(encoding="utf-8"))


def stamp(source: str) -> str:
    """The first line of a minified copy: which source it is of."""
    return f"/* of {hashlib.sha256(source.encode()).hexdigest()[:16]} */\n"


def _smaller(name: str, source: str) -> str:
    """The minified copy of the source, or the source itself if there is none of it."""
    copy = DIST / name
    text = copy.read_text(encoding="utf-8") if copy.is_file() else ""
    return text if text.startswith(stamp(source)) else source
