"""The same dashboard in other hosts: older and newer ipykernels, Notebook 7, marimo.

    PAGEDVIZ_HOSTS=/tmp/hosts .venv/bin/python -m pytest tests/browser/test_hosts.py

installs each host into that folder, once, apart from the project's own packages (marimo with what it needs has
221 MB), and shows the same run in each: pause, step and resume while the model generates, time travel meanwhile,
the page loaded anew, and a kernel that goes.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from lab import DASHBOARD, Lab, overlay
from looking import seen_at, show_table
from playwright.sync_api import expect

FOLDER = os.environ.get("PAGEDVIZ_HOSTS")
pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="installs packages: PAGEDVIZ_HOSTS names a folder for them"),
    pytest.mark.timeout(1800),
]
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
MS = 120_000
MAKE = "import pagedviz as pv\nfrom hosted import make, told\nsession = make()\ndashboard = pv.Dashboard(session)"
START = "started = session.start()"
GONE = "the kernel has gone"
OWN_PROBLEMS = {"Cannot read properties of undefined (reading 'schema')"}
"""What Notebook 7.6 complains of whenever it is loaded, also without a widget."""
expect.set_options(timeout=MS)


def press(root, name):
    """By keyboard: it waits for nothing to stand still, and reaches into a shadow root."""
    button = root.get_by_test_id(name)
    expect(button).to_be_enabled()
    button.press("Enter")


def step_of(root):
    return int(root.get_attribute("data-step"))


def await_step(root, least):
    end = time.monotonic() + MS / 1000
    while step_of(root) < least:
        assert time.monotonic() < end, (step_of(root), least, root.get_attribute("data-state"))
        time.sleep(0.05)


def check_look(root, told):
    """Stand at a step, and see there what Python says."""
    assert seen_at(root, told[0]) == told
    expect(root).to_have_attribute("data-at", str(told[0]))


def check_run(root, told):
    """Meet a run that generates; leave it paused, and live."""
    show_table(root)
    await_step(root, 35)
    expect(root).to_have_attribute("data-state", "running")

    check_look(root, told[0])
    expect(root).to_have_attribute("data-state", "running")
    press(root, "live")
    expect(root).to_have_attribute("data-at", "live")

    press(root, "pause")
    expect(root).to_have_attribute("data-state", "paused")
    stood = step_of(root)
    for more in (1, 2):
        press(root, "step")
        expect(root).to_have_attribute("data-step", str(stood + more))
        expect(root).to_have_attribute("data-state", "paused")

    press(root, "resume")
    await_step(root, stood + 7)
    expect(root).to_have_attribute("data-state", "running")

    press(root, "pause")
    expect(root).to_have_attribute("data-state", "paused")
    check_look(root, told[1])
    press(root, "live")
    expect(root).to_have_attribute("data-at", "live")


def check_jupyter(notebook):
    notebook.run_all()
    notebook.await_state("running", step=31)
    root = notebook.dashboards().first
    told = [json.loads(notebook.python(f"told(session, {step})").strip("'")) for step in (7, 19)]
    check_run(root, told)
    paused_at = step_of(root)
    assert notebook.python("session.status.step") == str(paused_at)

    press(root, "resume")
    await_step(root, paused_at + 3)
    before = step_of(root)
    notebook.reload()
    root.wait_for()
    await_step(root, before + 3)
    press(root, "pause")
    expect(root).to_have_attribute("data-state", "paused")
    assert notebook.python("session.status.step") == str(step_of(root))

    notebook.restart_kernel()
    expect(root.get_by_test_id("status")).to_contain_text(GONE)
    expect(root.get_by_test_id("pause")).to_be_hidden()
    show_table(root)
    check_look(root, told[0])


@pytest.fixture
def open_in(browser, tmp_path):
    """Opens the run in a host, and closes it at the end; its page had no error of ours."""
    opened = []

    def make(app, python_path):
        lab = Lab(tmp_path / "lab", python_path, app)
        opened.append((lab, None))
        notebook = lab.open(browser, "hosted", [MAKE, "dashboard", START])
        opened.append((lab, notebook))
        return notebook

    yield make
    lab, notebook = opened[-1]
    if notebook:
        notebook.close()
    lab.close()
    assert notebook is None or set(notebook.problems) <= (OWN_PROBLEMS if lab.app == "notebook" else set())


@pytest.mark.parametrize("version", ["7.4.0", "7.3.0", "6.31.0"])
def test_every_ipykernel(open_in, version):
    kernel = overlay(Path(FOLDER, f"ipykernel-{version}"), f"ipykernel=={version}")
    notebook = open_in("jupyterlab", (kernel,))
    check_jupyter(notebook)
    assert notebook.python("__import__('ipykernel').__version__") == repr(version)


def test_notebook_7(open_in):
    package = overlay(Path(FOLDER, "notebook"), "notebook", options=("--no-deps", "-c", str(CONSTRAINTS)))
    notebook = open_in("notebook", (package,))
    assert "/notebooks/" in notebook.page.url
    check_jupyter(notebook)


class Marimo:
    """A marimo server that shows ``marimo_app.py``; ``mode`` is ``run`` or ``edit``."""

    def __init__(self, folder, mode):
        package = overlay(Path(FOLDER, "marimo"), "marimo", options=("-c", str(CONSTRAINTS)))
        here = Path(__file__).parent
        app = folder / "app.py"
        app.write_text((here / "marimo_app.py").read_text())
        settings = folder / "config" / "marimo" / "marimo.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text("[runtime]\nauto_instantiate = true\n")  # run the cells of an opened notebook
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([package, str(here)]),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        self.url = f"http://127.0.0.1:{port}/"
        self.log = folder / "marimo.log"
        command = [sys.executable, "-m", "marimo", "-y", mode, str(app), "--headless", "--no-token"]
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(
                [*command, f"--port={port}"], env=env, stdout=log, stderr=log, cwd=folder
            )
        self._await_server()

    def _await_server(self):
        end = time.monotonic() + MS / 1000
        while time.monotonic() < end and self._server.poll() is None:
            try:
                urllib.request.urlopen(self.url, timeout=10).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
            else:
                return
        self.close()
        raise RuntimeError(f"marimo did not start:\n{self.log.read_text()[-4000:]}")

    def close(self):
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()


@pytest.mark.parametrize("mode", ["run", "edit"])
def test_marimo(browser, tmp_path, mode):
    server = Marimo(tmp_path, mode)
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    page.set_default_timeout(MS)
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    try:
        page.goto(server.url)
        live, saved = page.locator(DASHBOARD).nth(0), page.locator(DASHBOARD).nth(1)
        saved.wait_for()
        told = [json.loads(line) for line in page.get_by_text('"device:0"').inner_text().splitlines()]
        check_run(live, told)
        check_look_at_saved(saved, told)

        if mode == "edit":  # `run` gives a new page a session, and so an engine, of its own
            stood = step_of(live)
            page.reload()
            live.wait_for()
            expect(live).to_have_attribute("data-step", str(stood))
            press(live, "step")
            expect(live).to_have_attribute("data-step", str(stood + 1))
            show_table(live)
        assert problems == []
        server.close()
        check_look(live, told[0])
        assert set(problems) <= {"Failed to fetch"}, "which marimo's own page says of its server"
    finally:
        page.close()
        server.close()


def check_look_at_saved(root, told):
    expect(root.get_by_test_id("pause")).to_be_hidden()
    show_table(root)
    for each in told:
        check_look(root, each)
