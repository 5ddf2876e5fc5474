"""What is promised about the text that hosts take."""

from __future__ import annotations

import gzip
import re

from pagedviz.browser.bundle import DIST, HOME, bundle, script_source, stamp, style_source, stylesheet

LIMIT = 138_000
"""So that the page with it stays below 150 kB, of which ``tests/trace/test_html.py`` tells. Scopes cost 2 kB; each
panel has its own budget."""
PACKED_LIMIT = 60_000
"""What the dashboard may weigh on its way to a browser, packed with gzip."""


def test_bundle_and_stylesheet_are_small():
    both = bundle().encode() + stylesheet().encode()
    assert len(both) < LIMIT
    assert len(gzip.compress(both)) < PACKED_LIMIT


def test_the_minified_copy_is_of_these_sources():
    assert bundle().startswith(stamp(script_source())), "run `make bundle`"
    assert stylesheet().startswith(stamp(style_source())), "run `make bundle`"


def test_whoever_edits_a_module_sees_the_module(monkeypatch, tmp_path):
    monkeypatch.setattr("pagedviz.browser.bundle.DIST", tmp_path)
    (tmp_path / "dashboard.js").write_text((DIST / "dashboard.js").read_text() + "of another source")
    assert bundle.__wrapped__().startswith(stamp(script_source()))
    (tmp_path / "dashboard.js").write_text(stamp("of another source"))
    assert bundle.__wrapped__() == script_source()


def test_bundle_stands_alone():
    text = bundle()
    assert not re.search(r"^\s*import\b", text, re.MULTILINE)
    assert not re.search(r"https?://", (text + stylesheet()).replace("http://www.w3.org/2000/svg", ""))
    assert "innerHTML" not in text
    assert "insertAdjacentHTML" not in text
    assert text.count("export default") == 1


def test_every_module_is_in_it():
    modules = {path.relative_to(HOME).as_posix() for path in HOME.rglob("*.js")}
    aside = {"html/page.js", "dist/dashboard.js"}  # the page's own, which imports the bundle, and the bundle
    assert modules - aside == set(re.findall(r"^// (.*\.js)$", script_source(), re.MULTILINE)) - {"panels.js"}


def test_no_module_uses_what_it_does_not_import():
    """A minifier shortens a name where it knows the declaration, and leaves one that is declared elsewhere."""
    declared = re.findall(r"^(?:async )?(?:const|class|function\*?) (\w{3,})", script_source(), re.MULTILINE)
    calls = set(re.findall(r"(?<![\w.$])(\w{3,})\((?![^()]*\)\{)", re.sub(r'"[^"\n]*"', "", bundle())))
    assert calls & set(declared) == set()
