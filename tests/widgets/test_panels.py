"""A panel is one folder: what is derived from it, and how large it may be."""

import importlib.util
from pathlib import Path

import minify  # tdewolff-minify
import pytest

import pagedviz as pv
from pagedviz import widgets
from pagedviz.browser import manifest
from pagedviz.browser.bundle import script_source, style_source

ROOT = Path(__file__).parents[2]
KINDS = {".js": "application/javascript", ".css": "text/css"}


@pytest.fixture
def panel_folder(monkeypatch, tmp_path):
    """An empty folder in place of that of the panels."""
    monkeypatch.setattr(manifest, "FOLDER", tmp_path)
    manifest.panels.cache_clear()
    yield tmp_path
    manifest.panels.cache_clear()


def facts(order, span, **more):
    made = {"order": order, "widget": f"W{order}", "label": "L", "shows": "s", "span": span, "budget": 1, **more}
    return manifest.json.dumps(made)


def write(folder, name, text):
    (folder / name).mkdir()
    (folder / name / "panel.json").write_text(text)


def test_what_is_made_of_the_panels_is_of_these_panels():
    spec = importlib.util.spec_from_file_location("pagedviz_test_bundle", ROOT / "scripts" / "bundle.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for path, text in script.made().items():
        assert path.read_text(encoding="utf-8") == text, f"run `make bundle`: {path.name} is of other sources"


@pytest.mark.parametrize("panel", manifest.panels(), ids=lambda panel: panel.name)
def test_a_panel_keeps_its_budget(panel):
    paths = [path for path in (manifest.FOLDER / panel.name).iterdir() if path.suffix in KINDS]
    texts = [minify.string(KINDS[path.suffix], path.read_text(encoding="utf-8")) for path in paths]
    size = sum(len(text.encode()) for text in texts)
    assert size <= panel.budget, f"{panel.name} has {size} bytes; its panel.json allows {panel.budget}"
    assert panel.budget <= 1.25 * size, f"{panel.name} has {size} bytes: its budget of {panel.budget} says nothing"


@pytest.mark.parametrize("panel", manifest.panels(), ids=lambda panel: panel.name)
def test_a_panel_knows_no_other_panel(panel):
    for path in (manifest.FOLDER / panel.name).glob("*.js"):
        for other in manifest.panels():
            text = path.read_text(encoding="utf-8")
            assert other is panel or f"/{other.name}/" not in text, f"{panel.name} imports from {other.name}"


def test_every_panel_has_a_widget_of_its_name():
    assert sorted(widgets.names.__all__) == sorted(panel.widget for panel in manifest.panels())
    for panel in manifest.panels():
        assert getattr(pv, panel.widget)._shows == (panel.name,)
        assert panel.widget in pv.__all__


def test_every_folder_is_in_the_bundle():
    for panel in manifest.panels():
        assert f"// panels/{panel.name}/panel.js\n" in script_source()
        css = (manifest.FOLDER / panel.name / "panel.css").read_text(encoding="utf-8")
        assert css in style_source()


def test_panels_stand_in_their_order_and_fill_rows(panel_folder):
    write(panel_folder, "b_b", facts(2, [7, 4], keys={"x": "go"}, is_hidden=True))
    write(panel_folder, "a", facts(3, [5, 5]))
    write(panel_folder, "c", facts(1, [12, 12], is_text=True))
    assert [panel.name for panel in manifest.panels()] == ["c", "b_b", "a"]
    assert manifest.module().splitlines()[3:] == [
        "export const PANELS = {",
        'c: { create: c, label: "L", isText: true },',
        'b_b: { create: b_b, label: "L", isHidden: true, keys: {"x": "go"} },',
        'a: { create: a, label: "L" },',
        "};",
    ]
    assert manifest.grid() == (
        "@container (min-width: 700px) {\n"
        "  .pv-grid { grid-template-columns: repeat(12, minmax(0, 1fr)); }\n"
        "  .pv-c { grid-column: span 12; }\n"
        "  .pv-b-b { grid-column: span 7; }\n"
        "  .pv-a { grid-column: span 5; }\n"
        "  .pv-b-b[hidden] + .pv-a, .pv-b-b:has(+ .pv-a[hidden]) { grid-column: span 12; }\n"
        "}\n"
        "@container (min-width: 1250px) {\n  .pv-b-b { grid-column: span 4; }\n}\n"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (facts(1, [5, 5], colour="red"), r"a/panel.json has unknown facts \['colour'\], and lacks \[\]"),
        ('{"order": 1}', r"a/panel.json has unknown facts \[\], and lacks \['budget', 'label', "),
    ],
)
def test_a_panel_that_says_too_much_or_too_little_is_refused(panel_folder, text, problem):
    write(panel_folder, "a", text)
    with pytest.raises(ValueError, match=problem):
        manifest.panels()
