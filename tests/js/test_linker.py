"""The linker: what it makes of modules, run in node, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess

import minify  # tdewolff-minify
import pytest

from pagedviz.browser.linker import link

NODE = shutil.which("node")
ENTRY = "export default {{ {0} }};\nexport {{ {0} }};\n"


@pytest.fixture
def write(tmp_path):
    def write(**modules):
        for name, text in modules.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".js").write_text(text)
        return tmp_path

    return write


def run(root, text):
    if NODE is None:
        pytest.skip("node is not installed")
    plain, smaller = (run_text(root, each) for each in (text, minify.string("application/javascript", text)))
    assert plain == smaller
    return plain


def run_text(root, text):
    (root / "linked.mjs").write_text(text)
    code = "import('./linked.mjs').then((m) => console.log(JSON.stringify([m.default, {...m, default: 0}])))"
    done = subprocess.run([NODE, "-e", code], cwd=root, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_private_names_may_repeat(write):
    root = write(
        index=(
            'import { a } from "./one/a.js";\nimport {\n  a as other,\n  make,\n} from "./two/a.js";\n'
            "const helper = 1000;\nconst all = [a(), other(), new (make())().value, helper];\n"
            + ENTRY.format("all")
        ),
        one__a="/** One. */\nconst helper = 1;\nexport function a() {\n  return inner();\n}\n"
        "function inner() {\n  return helper;\n}\n",
        two__a=(
            'import { a as first } from "../one/a.js";\nconst helper = () => 10 + first();\n'
            "export const a = () => helper();\nclass Made {\n  value = 5;\n}\nexport const make = () => Made;\n"
        ),
    )
    assert run(root, link(root, "index.js")) == [{"all": [1, 11, 5, 1000]}, {"all": [1, 11, 5, 1000], "default": 0}]


def test_a_module_comes_once_and_after_those_it_imports(write):
    root = write(
        index='import { b } from "./b.js";\nimport { a } from "./a.js";\nconst sum = a + b;\n'
        + ENTRY.format("sum"),
        a="/** A. */\nexport const a = 1;\nexport const unused = 2;\n",
        b='import { a } from "./a.js";\n\nexport const b = a;\n',
    )
    assert link(root, "index.js") == (
        "const { sum } = (() => {\n"
        "// a.js\nlet a$a;\n(() => {\nconst a = 1;\nconst unused = 2;\na$a = a;\n})();\n"
        "// b.js\nlet b$b;\n((a) => {\nconst b = a;\nb$b = b;\n})(a$a);\n"
        "// index.js\nlet index$sum;\n((b, a) => {\nconst sum = a + b;\n"
        "index$sum = sum;\n})(b$b, a$a);\n"
        "return { sum: index$sum };\n})();\n"
        "export default { sum };\nexport { sum };\n"
    )


def test_data_and_modules_without_a_file(write):
    root = write(
        index='import { a } from "./made/a.js";\nimport data from "./data.json" with { type: "json" };\n'
        "const all = [a, data];\n" + ENTRY.format("all")
    )
    (root / "data.json").write_text('{"x": "é"}')
    text = link(root, "index.js", {"made/a.js": "export const a = 7;\n"})
    assert run(root, text)[0] == {"all": [7, {"x": "é"}]}


def test_a_circle_is_refused(write):
    root = write(
        index='import { a } from "./a.js";\n' + ENTRY.format("a"),
        a='import { b } from "./b.js";\nexport const a = b;\n',
        b='import { a } from "./a.js";\nexport const b = a;\n',
    )
    with pytest.raises(ValueError, match=r"in a circle: index\.js > a\.js > b\.js > a\.js"):
        link(root, "index.js")


def test_a_name_that_nobody_exports_is_refused(write):
    root = write(index='import { b } from "./a.js";\n' + ENTRY.format("b"), a="export const a = 1;\nconst b = 2;\n")
    with pytest.raises(ValueError, match=r"a\.js does not export b"):
        link(root, "index.js")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('import x from "./a.js";', "imports"),
        ('import * as x from "./a.js";', "imports"),
        ('import "https://x.y/z.js";', "imports"),
        ("export let x = 1;", "exports"),
        ("export default 1;", "exports"),
        ('export { a } from "./a.js";', "exports"),
    ],
)
def test_other_forms_are_refused(write, line, what):
    root = write(index=f"{line}\n" + ENTRY.format("a"), a="export const a = 1;\n")
    with pytest.raises(ValueError, match=rf"index\.js {what} in a form that the linker does not know"):
        link(root, "index.js")
