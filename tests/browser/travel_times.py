"""How long a browser takes to open a long run, and to jump to any step of it.

    .venv/bin/python tests/browser/travel_times.py [--jumps 20] [events ...]

The runs are of ``lab.long_run``: a real block manager under drawn requests. Each is opened as a person does, in a page of
``trace.to_html``; time counts from the navigation, or from the choice of a file, to the painted last step. Then the scrubber is set to random
steps; a jump lasts until the frame in which every panel in sight shows the step has been painted (what is out of
sight follows in frames of its own).
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from chromium import launch
from playwright.sync_api import Page, sync_playwright

from pagedviz.lab.long_run import long_run

# ruff: noqa: E501, T201 - JavaScript in a script
OPENED = """async (step) => {
    const painted = () => document.querySelector(".pagedviz")?.dataset.step === String(step);
    while (!painted()) await new Promise(requestAnimationFrame);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - (window.chosen ?? 0);
}"""
JUMP = """async (step) => {
    const root = document.querySelector(".pagedviz"), range = document.querySelector(".pv-range");
    const began = performance.now();
    range.value = step;
    range.dispatchEvent(new Event("input"));
    while (root.dataset.step !== String(step)) await new Promise(requestAnimationFrame);
    await new Promise((done) => setTimeout(done));
    return performance.now() - began;
}"""
IN_PAGE = 2_000_000
"""A longer run is not written into a page: its file is chosen on the page of a short one."""


def measure(page: Page, num_events: int, jumps: int, folder: Path) -> dict[str, float]:
    """One run's numbers; times in milliseconds."""
    began = time.perf_counter()
    trace = long_run(num_events)
    made = time.perf_counter() - began
    path = folder / f"{num_events}.pvtrace"
    trace.save(path)
    last = trace.last_step
    steps = random.Random(0).sample(range(trace.first_step, last), jumps)
    found = {"bytes_per_event": path.stat().st_size / trace.num_events, "made_s": made}
    if num_events <= IN_PAGE:
        trace.to_html(folder / "run.html")
        page.goto((folder / "run.html").as_uri())
    else:
        long_run(1000).to_html(folder / "short.html")
        page.goto((folder / "short.html").as_uri())
        page.evaluate("""addEventListener("change", () => (window.chosen = performance.now()), true)""")
        page.set_input_files("#file", path)
    del trace
    found["open_ms"] = page.evaluate(OPENED, last)
    took = [page.evaluate(JUMP, step) for step in steps]
    return {**found, "jump_p50": statistics.median(took), "jump_max": max(took)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", nargs="*", type=int, default=[1_000_000, 10_000_000])
    parser.add_argument("--jumps", type=int, default=20)
    options = parser.parse_args()
    with sync_playwright() as p, tempfile.TemporaryDirectory() as folder:
        browser = launch(p)
        for count in options.events:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(300_000)
            found = measure(page, count, options.jumps, Path(folder))
            print(
                f"{count:>10,} events  " + "  ".join(f"{name} {value:,.1f}" for name, value in found.items()),
                flush=True,
            )
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
