"""One Chromium and one JupyterLab for all tests of this folder; a notebook for each.

Where there is no Chromium the tests are skipped, but not in CI: there that is a failure.
"""

import os
from pathlib import Path

import pytest
from chromium import launch
from lab import Lab

_CI = os.environ.get("CI", "").lower() in ("1", "true")


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser():
    playwright_api = (
        pytest.importorskip("playwright.sync_api") if not _CI else __import__("playwright.sync_api").sync_api
    )
    with playwright_api.sync_playwright() as playwright:
        try:
            found = launch(playwright)
        except playwright_api.Error as error:
            told = f"no Chromium: apt-get install chromium, or playwright install chromium ({error.message[:200]})"
            if _CI:
                pytest.fail(told)
            pytest.skip(told)
        yield found
        found.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def kept(browser, lab):
    """The notebooks that wait for a next test: a page, and a kernel that has imported everything."""
    kept = []
    yield kept
    for notebook in kept:
        notebook.close()


@pytest.fixture
def notebook_of(browser, lab, kept, request):
    """Gives a notebook with these cells. At the end it had no error; after a test that passed the next gets it."""
    given, failures = [], request.session.testsfailed

    def make(cells, theme="light"):
        notebook = kept.pop() if kept else lab.open(browser, request.node.path.stem)
        given.append(notebook)
        notebook.begin(cells, theme)
        return notebook

    yield make
    for notebook in given:
        shots = os.environ.get("PAGEDVIZ_SHOTS")
        if shots:
            notebook.page.screenshot(path=f"{shots}/{request.node.name}.png")
        problems = notebook.problems
        if problems or request.session.testsfailed > failures:
            notebook.close()
        else:
            notebook.leave()
            kept.append(notebook)
        assert problems == []
