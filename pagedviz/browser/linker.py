"""The linker: makes one module of ES modules that import one another by their paths.

It decides how modules stand in that text. Each is a function of its own, so that two may use the same name for
something private; what others import stands outside, under the name of its module (``words$theme$THEME``); a module
comes after those that it imports. It knows the form that our modules keep, refuses anything else, and knows nothing
about what the modules do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_IMPORT = re.compile(r'^import\s+\{([^}]*)\}\s+from\s+"(\.[^"]*\.js)";\n', re.MULTILINE)
_DATA = re.compile(r'^import (\w+) from "(\.[^"]*\.json)" with \{ type: "json" \};\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|(?:async )?function\*?) (\w+))", re.MULTILINE)
_ENDING = re.compile(r"^export default \{ (\w+) \};\nexport \{(.*)\};\n", re.MULTILINE)
_LEFT = re.compile(r"^(im|ex)port\b", re.MULTILINE)
_ASIDE = re.compile(r"^[ ]*/\*\*[\s\S]*?\*/\n|^[ ]*//.*\n|^[ ]+", re.MULTILINE)


@dataclass
class _Module:
    """A module: its text without imports and exports, and what they were."""

    name: str
    body: str
    imports: list[tuple[str, str, str]]
    """The module that is imported from, its name for the thing, and the name here."""
    exports: set[str]
    default: str = ""
    public: list[str] = field(default_factory=list)
    """Of the entry: what it gives to the host."""


def link(root: Path, entry: str, given: Mapping[str, str] | None = None) -> str:
    """The modules below ``root`` that ``entry`` needs, as one.

    Args:
        root: the folder that paths begin at.
        entry: the module that ends with ``export default { a }; export { b, c };``, which become the whole's.
        given: path -> text of modules that are in no file.

    Raises:
        ValueError: modules import one another in a circle, a name that is not exported, or in a form that the
            linker does not know.
    """
    modules = _in_order(root, entry, given or {})
    wanted = {(home, name) for module in modules.values() for home, name, _ in module.imports}
    for home, name in sorted(wanted):
        if name not in modules[home].exports:
            raise ValueError(f"{home} does not export {name}")
    *needed, last = modules.values()
    scopes = [_scope(module, sorted(name for home, name in wanted if home == module.name)) for module in needed]
    names = list(dict.fromkeys([last.default, *last.public]))
    outside = ", ".join(f"{name}: {_outside(entry, name)}" for name in names)
    body = "".join((*scopes, _scope(last, names), f"return {{ {outside} }};\n"))
    return (
        f"const {{ {', '.join(names)} }} = (() => {{\n{body}}})();\n"
        f"export default {{ {last.default} }};\nexport {{ {', '.join(last.public)} }};\n"
    )


def _in_order(root: Path, entry: str, given: Mapping[str, str]) -> dict[str, _Module]:
    """The entry and all that it needs, each after those that it imports."""
    found: dict[str, _Module] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"modules import one another in a circle: {' > '.join((*path, name))}")
        if name in found:
            return
        text = given[name] if name in given else (root / name).read_text(encoding="utf-8")
        module = _read(root, name, text)
        for home in dict.fromkeys(home for home, _, _ in module.imports):
            add(home, (*path, name))
        found[name] = module

    add(entry, ())
    return found


def _read(root: Path, name: str, text: str) -> _Module:
    imports = [
        (_at(name, path), *_names_of(item))
        for items, path in _IMPORT.findall(text)
        for item in items.split(",")
        if item.strip()
    ]
    module = _Module(name, "", imports, set(_EXPORT.findall(text)))
    body = _EXPORT.sub("", _IMPORT.sub("", text))
    body = _DATA.sub(lambda found: f"const {found[1]} = {_data(root / _at(name, found[2]))};\n", body)
    ending = _ENDING.search(body)
    if ending:
        module.default = ending[1]
        module.public = [public.strip() for public in ending[2].split(",")]
        body = body[: ending.start()] + body[ending.end() :]
    left = _LEFT.search(body)
    if left:
        raise ValueError(f"{name} {left[1]}ports in a form that the linker does not know")
    module.body = _ASIDE.sub("", body).strip()
    return module


def _at(name: str, path: str) -> str:
    """The place below the root that a path in a module means."""
    parts: list[str] = []
    for part in (PurePosixPath(name).parent / path).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _names_of(item: str) -> tuple[str, str]:
    """``a as b`` is the name there and the name here; ``a`` is both."""
    there, _, here = item.partition(" as ")
    return there.strip(), (here or there).strip()


def _data(path: Path) -> str:
    return json.dumps(json.loads(path.read_bytes()), separators=(",", ":"))


def _outside(home: str, name: str) -> str:
    """What an exported name is called outside its module."""
    return f"{home.removesuffix('.js').replace('/', '$')}${name}"


def _scope(module: _Module, shared: list[str]) -> str:
    """The module in a scope of its own; ``shared`` is what others import of it."""
    lines = [f"// {module.name}"]
    if shared:
        lines.append(f"let {', '.join(_outside(module.name, name) for name in shared)};")
    # A parameter is as good as the live binding of ES modules: nothing that is exported is assigned to again.
    # A block would be a scope too, but minifiers lift functions out of blocks.
    lines.append(f"(({', '.join(here for _, _, here in module.imports)}) => {{")
    lines.append(module.body)
    lines += [f"{_outside(module.name, name)} = {name};" for name in shared]
    given = ", ".join(_outside(home, name) for home, name, _ in module.imports)
    return "\n".join((*lines, f"}})({given});\n"))
