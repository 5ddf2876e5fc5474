"""How long from a click on Pause to the engine's answer, in a real JupyterLab, while a model generates.

    .venv/bin/python tests/browser/click_latency.py [--kernel 6.31.0] [--clicks 20] [--model smollm2-135m]

Two moments are measured from the click (the browser's own time of the mouse event):

* *handler*: Python has the command. From here on no further step begins. This is what a busy kernel delays.
* *paused*: the page shows the engine's answer, a status that says ``paused`` and counts the command. The step
  in progress has ended by then, so this includes on average half a step of the model (also printed).

``--kernel`` runs another ipykernel than the installed one: it is installed, alone, into a temporary folder that
goes in front of the kernel's path.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import statistics
import tempfile
from pathlib import Path

from chromium import launch
from lab import Lab, Notebook, overlay
from playwright.sync_api import sync_playwright

TINY = "from tiny import tiny_engine\nengine = tiny_engine(num_device_blocks=4096)"
REAL = "engine = pv.Engine.from_pretrained({model!r}, num_device_blocks=1024)"
RUN = """
import time
session = pv.Session(engine)
for number in range(4):
    session.submit("Once upon a time there was", n=2, max_tokens=4000 // 2, temperature=1.0, ignore_eos=True)
handled, took = [], []
take, step = session.command, engine.step
def command(name):
    handled.append((name, time.time() * 1000))
    take(name)
def timed_step():
    began = time.perf_counter()
    try:
        return step()
    finally:
        took.append((time.perf_counter() - began) * 1000)
session.command, engine.step = command, timed_step
pv.Dashboard(session)
"""
WATCH = """() => {
    const root = document.querySelector("[data-next-seq]");
    window.clicked = [];
    window.answered = [];
    const button = root.querySelector("[data-testid=pause]");
    const now = () => performance.timeOrigin + performance.now();
    button.addEventListener("click", (event) => clicked.push(performance.timeOrigin + event.timeStamp), true);
    new MutationObserver(() => { if (root.dataset.state === "paused") answered.push(now()); })
        .observe(root, {attributeFilter: ["data-state"]});
}"""


def measure(notebook: Notebook, clicks: int) -> tuple[list[float], list[float], float]:
    """Milliseconds from click to handler, from click to answer, and the median step."""
    notebook.run_all()
    notebook.await_state("running", step=10)
    notebook.page.evaluate(WATCH)
    moment = random.Random(0)  # clicks must not fall into step with the model
    for _ in range(clicks):
        notebook.page.wait_for_timeout(300 + moment.random() * 300)
        notebook.press("pause")
        notebook.await_state("paused")
        notebook.press("resume")
        notebook.await_state("running")
    notebook.press("stop")
    notebook.await_state("stopped")
    clicked, answered = notebook.page.evaluate("() => [clicked, answered]")
    handled = [at for name, at in ast.literal_eval(notebook.python("handled")) if name == "pause"]
    step = float(notebook.python("__import__('statistics').median(took)"))
    assert len(clicked) == len(answered) == len(handled) == clicks, (len(clicked), len(answered), len(handled))
    return (
        [at - began for began, at in zip(clicked, handled, strict=True)],
        [at - began for began, at in zip(clicked, answered, strict=True)],
        step,
    )


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", help="version of ipykernel (default: the installed one)")
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--waiting", action="store_true", help="while a cell runs `await session.wait()`")
    parser.add_argument("--model", help="a model for Engine.from_pretrained (default: a tiny random one)")
    options = parser.parse_args()
    make = REAL.format(model=options.model) if options.model else TINY
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        path = (overlay(folder / "kernel", f"ipykernel=={options.kernel}"),) if options.kernel else ()
        browser = launch(playwright)
        lab = Lab(folder / "lab", path)
        try:
            last = "await session.start().wait();" if options.waiting else "session.start();"
            notebook = lab.open(browser, "latency", [f"import pagedviz as pv\n{make}\n{RUN}", last])
            handler, paused, step = measure(notebook, options.clicks)
            result = {"ipykernel": notebook.python("__import__('ipykernel').__version__").strip("'")}
        finally:
            lab.close()
    result |= {
        "model": options.model or "tiny",
        "waiting": options.waiting,
        "clicks": options.clicks,
        "step_ms": round(step, 1),
    }
    for what, times in (("handler", handler), ("paused", paused)):
        result[f"{what}_ms"] = {"median": round(statistics.median(times), 1), "max": round(max(times), 1)}
    print(json.dumps(result))  # noqa: T201 - a script


if __name__ == "__main__":
    main()
