"""Takes the README's pictures: the dashboard in a real JupyterLab while SmolLM2 writes, in both themes.

.venv/bin/python scripts/screenshots.py
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from chromium import launch  # noqa: E402 - it is found through the line above
from lab import Lab  # noqa: E402 - likewise

CELL = """
import pagedviz as pv
engine = pv.Engine.from_pretrained(
    "smollm2-135m", block_size=8, num_device_blocks=32, num_host_blocks=48, preemption="swap"
)
session = pv.Session(engine)
prompt = "A page table maps virtual pages to physical frames. When a process forks,"
session.submit(prompt, n=2, seed=3, temperature=0.8, max_tokens=90)
session.submit("Once upon a time there was a robot who", temperature=0, max_tokens=110)
session.submit("Once upon a time there was a robot who lived", temperature=0, max_tokens=60)
session.submit("The capital of France is", temperature=0, max_tokens=60)
"""
STEPS = 46


def main() -> None:
    """Write docs/images/dashboard-light.png and -dark.png."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch(playwright)
        lab = Lab(Path(folder) / "lab")
        try:
            for theme in ("light", "dark"):
                notebook = lab.open(browser, theme, [CELL, "pv.Dashboard(session)", "session.start()"], theme)
                notebook.page.set_viewport_size({"width": 1600, "height": 1250})
                notebook.command("application:toggle-left-area")
                notebook.run_all()
                notebook.await_state("running", step=STEPS)
                notebook.press("pause")
                notebook.await_state("paused", step=STEPS)
                notebook.page.mouse.move(0, 0)
                target = ROOT / "docs" / "images" / f"dashboard-{theme}.png"
                notebook.dashboards().first.screenshot(path=target)
                notebook.end_kernel()
                notebook.page.close()
                print(target)
        finally:
            lab.close()
            browser.close()


if __name__ == "__main__":
    main()
