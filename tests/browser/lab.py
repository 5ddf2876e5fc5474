"""A real JupyterLab or Notebook 7, and a real Chromium. Knows nothing of what is tested.

Everything that the server reads or writes of its user's lies in a temporary folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page

HERE = Path(__file__).parent
DASHBOARD = "[data-next-seq]"
_SERVER_STARTS_IN_S = 60
_MS = 90_000
_PLACE = """([selector, name, index]) => {
    const button = document.querySelectorAll(selector)[index]?.querySelector(`[data-testid=${name}]`);
    if (!button) return null;
    let box = button.getBoundingClientRect();
    if (box.top < 120 || box.bottom > innerHeight - 80) button.scrollIntoView({block: "center"});
    box = button.getBoundingClientRect();
    const [x, y, before] = [box.x + box.width / 2, box.y + box.height / 2, button.lastTop];
    button.lastTop = box.top;
    if (button.disabled || before !== box.top || !button.contains(document.elementFromPoint(x, y))) return null;
    window.wasPressed = false;
    button.addEventListener("click", () => { window.wasPressed = true; }, {capture: true, once: true});
    return [x, y];
}"""

_FORGET = """
import gc, ipywidgets, pagedviz
for found in gc.get_objects():
    if type(found) is pagedviz.Session:
        found.close()
ipywidgets.Widget.close_all()
get_ipython().run_line_magic("reset", "-sf")
"""


def overlay(folder: Path, *requirements: str, options: tuple[str, ...] = ("--no-deps",)) -> str:
    """A folder with these packages, to go in front of a Python path; installed if it is not there yet."""
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-warn-conflicts", *options]
        subprocess.run([*command, "--target", str(folder), *requirements], check=True)
    return str(folder)


class Lab:
    """A server of JupyterLab, or of Notebook 7. ``python_path`` goes in front of its and its kernels' path."""

    def __init__(self, folder: Path, python_path: tuple[str, ...] = (), app: str = "jupyterlab") -> None:
        self.app = app
        self.folder = folder
        self.root = folder / "notebooks"
        self.root.mkdir(parents=True)
        runtime = folder / "runtime"
        settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
        env = {
            **os.environ,
            "HOME": str(folder),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(runtime),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            "JUPYTER_PATH": os.pathsep.join(f"{path}/share/jupyter" for path in python_path),
            "PYTHONPATH": os.pathsep.join([*python_path, str(HERE)]),
            # The model may lie in the user's cache, which the temporary HOME would hide.
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        }
        self.log = folder / "lab.log"
        command = [sys.executable, "-m", app, "--no-browser", "--allow-root", "--expose-app-in-browser"]
        options = [f"--ServerApp.root_dir={self.root}", "--ServerApp.port=0", "--IdentityProvider.token=test"]
        with self.log.open("wb") as log:
            self._server = subprocess.Popen([*command, *options], env=env, stdout=log, stderr=log, cwd=folder)
        self.url = self._await_url(runtime)

    def _await_url(self, runtime: Path) -> str:
        deadline = time.monotonic() + _SERVER_STARTS_IN_S
        while time.monotonic() < deadline and self._server.poll() is None:
            for path in runtime.glob("jpserver-*.json"):
                with contextlib.suppress(json.JSONDecodeError):  # it is being written
                    return str(json.loads(path.read_text())["url"])
            time.sleep(0.05)
        self.close()
        raise RuntimeError(f"{self.app} did not start:\n{self.log.read_text()[-4000:]}")

    def close(self) -> None:
        """End the server and its kernels."""
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def open(self, browser: Browser, name: str, cells: list[str] | Path = (), theme: str = "light") -> Notebook:
        """Open a notebook, made of code cells or copied from a file, in a window of its own."""
        path = self.root / f"{name}.ipynb"
        if isinstance(cells, Path):
            shutil.copy(cells, path)
        else:
            path.write_text(json.dumps(_notebook(cells)), encoding="utf-8")
        page = browser.new_page(viewport={"width": 1500, "height": 1100})
        page.set_default_timeout(_MS)
        at = {"jupyterlab": f"lab/workspaces/{name}/tree", "notebook": "notebooks"}[self.app]
        notebook = Notebook(page, f"{self.url}{at}/{name}.ipynb?token=test&reset", path)
        notebook.use_theme(theme)
        return notebook


def _notebook(cells: list[str]) -> dict[str, object]:
    """A notebook of code cells, as its file has it: importing nbformat takes as long as starting the server."""
    empty = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": [empty | {"id": f"cell-{number}", "source": source} for number, source in enumerate(cells)],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


class Notebook:
    """A notebook that is open in JupyterLab or Notebook 7. ``problems`` collects what the page complains of."""

    def __init__(self, page: Page, url: str, path: Path) -> None:
        self.page = page
        self.path = path
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.goto(url)
        self.await_ready()

    def await_ready(self) -> None:
        """Return when the notebook is there and its kernel waits for work."""
        self.page.wait_for_function(
            """() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === "idle" """
        )

    def use_theme(self, theme: str) -> None:
        """``light`` or ``dark``."""
        name = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[theme]
        self.command("apputils:change-theme", theme=name)
        light = {"light": "true", "dark": "false"}[theme]
        self.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")

    def command(self, name: str, **arguments: str) -> None:
        """Run a command of JupyterLab and wait for its end."""
        self.page.evaluate(
            "([name, args]) => jupyterapp.commands.execute(name, args).then(() => 0)", [name, arguments]
        )

    def run_all(self) -> None:
        """Run all cells; return at once."""
        self.page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells'); }")

    def python(self, expression: str) -> str:
        """What the expression is in the kernel, as its repr; waits for the running cell."""
        reply = self.page.evaluate(
            """async (code) => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const request = {code: "", user_expressions: {x: code}, silent: true, store_history: false};
                return (await kernel.requestExecute(request).done).content.user_expressions.x;
            }""",
            expression,
        )
        assert reply["status"] == "ok", reply
        return str(reply["data"]["text/plain"])

    def dashboards(self) -> Locator:
        """All dashboards on the page."""
        return self.page.locator(DASHBOARD)

    def await_state(self, *states: str, step: int = 0, index: int = 0) -> None:
        """Return when a dashboard shows one of these states and has come to ``step``."""
        self.page.wait_for_function(
            """([selector, states, step, index]) => {
                const data = document.querySelectorAll(selector)[index]?.dataset;
                return data && states.includes(data.state) && Number(data.step) >= step;
            }""",
            arg=[DASHBOARD, states, step, index],
        )

    def await_drawn(self, index: int = 0) -> None:
        """Return when a dashboard has drawn all that it knows, and the browser has painted it."""
        self.page.evaluate(
            """async ([selector, index]) => {
                const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                for (let quiet = 0; quiet < 2; ) {
                    await frame();
                    quiet = "drawing" in document.querySelectorAll(selector)[index].dataset ? 0 : quiet + 1;
                }
            }""",
            [DASHBOARD, index],
        )

    def press(self, button: str, index: int = 0) -> None:
        """Click pause, step, resume or stop, where it is, as soon as it can be pressed."""
        # Not `Locator.click`: that waits for the whole page to stand still, and a live page never does. So a
        # click may miss when something above grows in that moment: then it is made again.
        for _ in range(20):
            place = self.page.wait_for_function(_PLACE, arg=[DASHBOARD, button, index], polling=50)
            self.page.mouse.click(*place.json_value())
            if self.page.evaluate("() => window.wasPressed"):
                return
        raise AssertionError(f"{button} could not be hit")

    def step(self, index: int = 0) -> int:
        """The step that a dashboard shows."""
        return int(self.dashboards().nth(index).get_attribute("data-step") or "-1")

    def reload(self) -> None:
        """Save, and load the page anew; the kernel goes on meanwhile."""
        self.command("docmanager:save")
        self.page.reload()
        self.await_ready()

    def restart_kernel(self) -> None:
        """As from the menu, with the question that comes; return when there is another kernel."""
        self.page.evaluate(
            """() => {
                window.hasRestarted = false;
                const restart = jupyterapp.commands.execute("notebook:restart-kernel");
                restart.then(() => { window.hasRestarted = true; });
            }"""
        )
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.wait_for_function("() => window.hasRestarted")
        self.await_ready()

    def begin(self, cells: list[str], theme: str = "light") -> None:
        """Put these code cells in the place of those that are there."""
        self.use_theme(theme)
        self.page.evaluate(
            """(sources) => {
                const notebook = jupyterapp.shell.currentWidget.content.model.sharedModel;
                notebook.deleteCellRange(0, notebook.cells.length);
                notebook.insertCells(0, sources.map((source) => ({cell_type: "code", source, metadata: {}})));
            }""",
            cells,
        )
        self.dashboards().first.wait_for(state="detached")

    def leave(self) -> None:
        """Leave the kernel as it was before the cells ran, but for what is imported."""
        self.page.evaluate(
            """async (code) => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const reply = await kernel.requestExecute({code, silent: true, store_history: false}).done;
                if (reply.content.status !== "ok") throw new Error(JSON.stringify(reply.content));
            }""",
            _FORGET,
        )

    def close(self) -> None:
        """Shut the kernel down and close the page."""
        self.page.evaluate("() => jupyterapp.shell.currentWidget?.sessionContext?.shutdown()")
        self.page.close()
