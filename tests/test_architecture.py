"""Imports go one way, and half of the package never needs torch (docs/architecture.md)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pagedviz"
KERNELS = ROOT / "kernels" / "pagedviz_kernels"

MAY_IMPORT = {
    "_version": set(),
    "errors": set(),
    "lazy": set(),
    "values": {"errors"},
    "files": {"errors"},
    "chat": {"errors"},
    "events": {"errors"},
    "memory": {"errors", "events", "values"},
    "attention": {"errors", "events", "lazy", "pagedviz_kernels", "values"},
    "models": {"lazy", "attention", "errors", "events", "values"},
    "engine": {"_version", "attention", "chat", "errors", "events", "lazy", "memory", "models", "values"},
    "trace": {"browser", "errors", "events", "files", "values"},
    "figures": {"errors", "events", "trace", "values"},
    "lab": {"_version", "errors", "events", "memory", "trace", "values"},
    "session": {"chat", "engine", "errors", "events", "trace", "values"},
    "browser": {"events"},
    "widgets": {"browser", "errors", "events", "figures", "lazy", "trace", "values"},
    "bench": {"attention", "engine", "errors", "events", "lab", "memory", "models", "trace"},
    "__init__": {
        "_version",
        "engine",
        "errors",
        "events",
        "figures",
        "lazy",
        "session",
        "trace",
        "widgets",
    },
}
"""Part of the package -> the other parts that it may import; ``cli`` and its commands may import them all."""

EXCEPTIONS = {
    ("engine/audit.py", "trace"): "the audit proves events against tables, so it needs what events mean",
    ("engine/engine.py", "trace"): "a snapshot of the engine is a state",
    ("engine/facts.py", "trace"): "what events count is counted once, by the reducer",
}

WITHOUT_TORCH = sorted(
    {
        "__init__",
        "_version",
        "chat",
        "errors",
        "events",
        "files",
        "memory",
        "trace",
        "figures",
        "browser",
        "lab",
        "lazy",
        "session",
        "widgets",
        "values",
    }
)
HEAVY = {"torch", "triton", "transformers", "numba", "pagedviz_kernels"}

MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(
    path
    for folder in (PACKAGE, ROOT / "kernels", ROOT / "tests")
    for path in folder.rglob("*")
    if path.suffix in {".py", ".js", ".mjs", ".css"} and "node_modules" not in path.parts
)


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Every module that a file imports, also inside functions, but not for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for branch in node.body
        for inner in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module
            if node.module == "pagedviz":
                yield from (f"pagedviz.{alias.name}" for alias in node.names)


def parts_imported(path):
    for module in imports(path):
        top, _, rest = module.partition(".")
        if top == "pagedviz" and rest:
            yield rest.partition(".")[0]
        elif top == "pagedviz_kernels":
            yield top


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path):
    part = part_of(path)
    if part in {"cli", "commands", "__main__"}:
        return
    assert part in MAY_IMPORT, f"say in MAY_IMPORT what {part} may import"
    for imported in set(parts_imported(path)) - {part}:
        allowed = imported in MAY_IMPORT[part] or (name_of(path), imported) in EXCEPTIONS
        assert allowed, f"{name_of(path)} imports pagedviz.{imported}"


def test_no_exception_is_kept_that_nobody_needs():
    used = {(name_of(path), part) for path in MODULES for part in parts_imported(path)}
    assert set(EXCEPTIONS) <= used


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in WITHOUT_TORCH], ids=name_of)
def test_this_half_never_imports_torch(path):
    assert {module.partition(".")[0] for module in imports(path)} & HEAVY == set()


@pytest.mark.parametrize("path", sorted(KERNELS.rglob("*.py")), ids=lambda path: path.name)
def test_kernels_do_not_know_the_package(path):
    assert "pagedviz" not in {module.partition(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", [*MODULES, *sorted(KERNELS.rglob("*.py"))], ids=lambda path: path.stem)
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_is_longer_than_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def modules_after(code):
    """The top-level modules that a fresh interpreter has after ``code``."""
    code += "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_import_pagedviz_loads_next_to_nothing():
    loaded = modules_after("import pagedviz; dir(pagedviz)")
    assert loaded & {*HEAVY, "numpy", "msgspec", "plotly", "anywidget", "IPython", "asyncio"} == set()


def test_a_run_is_scheduled_without_a_model():
    loaded = modules_after(
        "from pagedviz.engine import EngineConfig, Preview, RequestOutput, SamplingParams\n"
        "import pagedviz.engine.request, pagedviz.engine.schedule.admission\n"
        "from pagedviz.engine.schedule.costs import CostModel\n"
        "from pagedviz.engine.schedule.scheduler import Scheduler\n"
        "from pagedviz.memory import BlockManager\n"
        "Scheduler(EngineConfig(), BlockManager(4, 4, 1, lambda event: None), CostModel(), 64).plan()\n"
        "SamplingParams(temperature=0, beam_width=2)\n"
    )
    assert loaded & {*HEAVY, "numpy"} == set()


def test_a_saved_run_opens_without_torch():
    golden = ROOT / "tests" / "golden" / "tiny_run.pvtrace"
    loaded = modules_after(
        "import pagedviz as pv, pagedviz.trace, pagedviz.figures, pagedviz.widgets, pagedviz.session\n"
        f"trace = pv.Trace.load({str(golden)!r})\n"
        "pv.figures.memory_timeline(trace)\n"
        "pv.figures.picture(trace.state_at(3), trace.info)\n"
        "pv.Dashboard, pv.Session, pv.record\n"
    )
    assert loaded & HEAVY == set()


PURE = {"all", "any", "isinstance", "len", "list", "max", "min", "set", "sorted", "sum", "tuple", "type"}
"""What an assert may call: ``python -O`` leaves asserts out, and a program must do the same without them."""


def effects_in_asserts(tree):
    """What a module's asserts do besides looking: calls that are not known to be pure, ``:=``, await and yield."""
    for asserted in ast.walk(tree):
        if isinstance(asserted, ast.Assert):
            for node in ast.walk(asserted):
                pure = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PURE
                if isinstance(node, ast.Call | ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) and not pure:
                    yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "kernels").rglob("*.py"))], ids=lambda path: path.stem)
def test_an_assert_only_looks(path):
    assert not [*effects_in_asserts(ast.parse(path.read_text(encoding="utf-8")))], (
        f"{path}: python -O leaves it out; do it before the assert, or add what is pure to PURE"
    )


@pytest.mark.parametrize(
    "code",
    [
        "assert pool.take() == 3",
        "assert found.setdefault(name, 1) == 1",
        "assert (n := 3) > 2",
        "assert x, f'{self.tell()}'",
        "assert [pop(x) for x in xs]",
        "assert len(xs.pop())",
        "async def f():\n    assert await g",
    ],
)
def test_effects_in_asserts_are_found(code):
    assert [*effects_in_asserts(ast.parse(code))]


def test_what_only_looks_is_no_effect():
    assert not [*effects_in_asserts(ast.parse("assert all(isinstance(x, int) for x in xs), f'{len(xs)}'"))]
