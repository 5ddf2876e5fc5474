"""No circle of files: whoever reads a module, in Python or in the browser, can read what it needs first."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
BROWSER = ROOT / "pagedviz" / "browser"

ROOMS = {
    "run": set(),
    "words": {"run"},
    "kit": {"words", "run"},
    "live": {"kit", "run"},
    "panels": {"kit", "live", "run", "words"},
    "bar": {"kit", "live", "run", "words"},
}
"""Room of ``pagedviz/browser`` -> the other rooms that it may import. The dashboard knows them all."""


def circle_in(needs):
    """One circle of a graph, from a module back to it; nothing if there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def python_modules(root, package):
    """Module -> modules of the package that it imports, also inside functions, but not for type checkers."""
    paths = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (root / package).rglob("*.py")
    }
    return {name: set(imported(path, paths)) - {name} for name, path in paths.items()}


def imported(path, paths):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in paths)
        elif isinstance(node, ast.ImportFrom):
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (
                name if name in paths else node.module for name in names if {name, node.module} & set(paths)
            )


def browser_modules(root):
    """Path -> the paths that it imports."""
    texts = {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in root.rglob("*.js")}
    found = {path: re.findall(r'from "(\.[^"]*\.js)"', text) for path, text in texts.items()}
    return {
        path: {at(path, name) for name in names} & set(texts)
        for path, names in found.items()
        if not path.startswith("dist/")
    }


def at(path, name):
    steps = []
    for step in (PurePosixPath(path).parent / name).parts:
        if step == "..":
            steps.pop()
        else:
            steps.append(step)
    return "/".join(steps)


@pytest.mark.parametrize(("folder", "package"), [(ROOT, "pagedviz"), (ROOT / "kernels", "pagedviz_kernels")])
def test_no_circle_of_python_modules(folder, package):
    needs = python_modules(folder, package)
    assert sum(map(len, needs.values())) > len(needs) / 2
    assert " -> ".join(circle_in(needs)) == ""


def test_no_circle_of_browser_modules():
    needs = browser_modules(BROWSER)
    assert "kit/dom.js" in needs["dashboard.js"]
    assert " -> ".join(circle_in(needs)) == ""


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_of_the_browser_know_one_another_one_way(room):
    assert circle_in(ROOMS) == []
    for path, needs in browser_modules(BROWSER).items():
        if path.startswith(f"{room}/"):
            others = {need.partition("/")[0] for need in needs} - {room}
            assert others <= ROOMS[room], f"{path} imports from {sorted(others - ROOMS[room])}"


def test_every_room_is_known():
    rooms = {path.partition("/")[0] for path in browser_modules(BROWSER) if "/" in path}
    assert rooms == {*ROOMS, "html"}


def test_a_circle_is_found(tmp_path):
    package = tmp_path / "thing"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("def f():\n    from thing import b\n")
    (package / "b.py").write_text("import typing\nif typing.TYPE_CHECKING:\n    from thing import a\n")
    assert circle_in(python_modules(tmp_path, "thing")) == []
    (package / "b.py").write_text("from thing.a import f\n")
    assert set(circle_in(python_modules(tmp_path, "thing"))) == {"thing.a", "thing.b"}
    (package / "x.js").write_text('import { y } from "./y.js";\n')
    (package / "y.js").write_text('import { x } from "../thing/x.js";\n')
    assert browser_modules(tmp_path) == {"thing/x.js": {"thing/y.js"}, "thing/y.js": {"thing/x.js"}}
