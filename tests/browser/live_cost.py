"""What a live dashboard costs the engine that it shows, in a real JupyterLab, and how smooth the page is meanwhile.

    .venv/bin/python tests/browser/live_cost.py [--rounds 6] [--model smollm2-135m] [--blocks 131072] [--tokens 192]

The same requests run in turn with a dashboard in sight and without one (recorded both times), in one kernel; a run
begins when its dashboard has been drawn. Told are seconds of each run, the median of the ratios of neighbours, and
the messages a second that the page got. Engine, server and browser share the machine's cores: with two of them,
their work adds up.
``--unseen`` leaves the dashboards out of sight: what is left is what Python and the wire cost. ``--frames`` counts
the page's animation frames too, which makes it paint 60 a second in both runs of a pair. ``--threads 1`` keeps the
engine on one core, so that server and page have the others.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import tempfile
from pathlib import Path

from chromium import launch
from lab import Lab
from playwright.sync_api import sync_playwright

# ruff: noqa: T201 - a script
START = """
import time
import pagedviz as pv
engine = pv.Engine.from_pretrained({model!r}, block_size=1, num_device_blocks={blocks}, prefix_caching=False)
took = []
def work():
    session = pv.Session(engine)
    for number in range(8):
        session.submit([number + 5] * 9, max_tokens={tokens}, temperature=0.0, ignore_eos=True)
    return session
async def timed(session):
    began = time.perf_counter()
    await session.start().wait()
    took.append(time.perf_counter() - began)
work().run()
"""
WITHOUT = "await timed(work())"
MAKE = "session = work()\npv.Dashboard(session)"
WITH = "await timed(session)"
COUNT = """(isCounting) => {
    window.frames = 0;
    const count = () => { window.frames += 1; requestAnimationFrame(count); };
    if (isCounting) count();
    window.live = [];
    const seen = new Map();
    setInterval(() => {
        for (const root of document.querySelectorAll("[data-next-seq]")) {
            if (root.dataset.state === "running" && seen.get(root) !== root.dataset.nextSeq) {
                seen.set(root, root.dataset.nextSeq);
                window.live.push([performance.now(), window.frames]);
            }
        }
    }, 4);
}"""

DRAWN = """async (root) => {
    root.scrollIntoView({block: "start"});
    while (!root.dataset.theme || root.hasAttribute("data-drawing")) await new Promise(requestAnimationFrame);
}"""
HIDE = "(root) => { root.parentElement.style.display = 'none'; }"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--blocks", type=int, default=131_072)
    parser.add_argument("--tokens", type=int, default=192)
    parser.add_argument("--unseen", action="store_true")
    parser.add_argument("--frames", action="store_true")
    parser.add_argument("--threads", type=int, default=0, help="of the engine; 0: as torch chooses")
    options = parser.parse_args()
    limit = f"import os\nos.environ['OMP_NUM_THREADS'] = '{options.threads}'\n" if options.threads else ""
    cells = [limit + START.format(model=options.model, blocks=options.blocks, tokens=options.tokens)]
    for number in range(options.rounds):
        pair = [[WITHOUT], [MAKE, WITH]]
        cells += [cell for side in (pair if number % 2 else pair[::-1]) for cell in side]
    with sync_playwright() as p, tempfile.TemporaryDirectory() as folder:
        browser = launch(p)
        lab = Lab(Path(folder) / "lab")
        notebook = lab.open(browser, "cost", cells)
        notebook.page.set_default_timeout(1_200_000)
        notebook.page.evaluate(COUNT, options.frames)
        rates = []

        def run_cell() -> None:
            notebook.command("notebook:run-cell-and-select-next")

        def run_with(index: int) -> None:
            run_cell()
            root = notebook.dashboards().nth(index)
            root.evaluate(HIDE if options.unseen else DRAWN)
            notebook.page.evaluate("() => window.live.splice(0)")
            run_cell()
            notebook.await_state("finished", index=index)
            live = notebook.page.evaluate("() => window.live.splice(0)")
            seconds = (live[-1][0] - live[0][0]) / 1000
            rates.append(((live[-1][1] - live[0][1]) / seconds, (len(live) - 1) / seconds))

        run_cell()
        for index in range(options.rounds):
            for is_with in (False, True) if index % 2 else (True, False):
                if is_with:
                    run_with(index)
                else:
                    run_cell()
                notebook.python("len(took)")
        took = ast.literal_eval(notebook.python("took"))
        lab.close()
        browser.close()
    pairs = [took[i : i + 2] if (i // 2) % 2 else took[i : i + 2][::-1] for i in range(0, len(took), 2)]
    print("without s   with s   ratio   batches/s" + "   frames/s" * options.frames)
    for (without, with_), (frames, batches) in zip(pairs, rates, strict=True):
        row = f"{without:>9.2f}{with_:>9.2f}{with_ / without:>8.3f}{batches:>12.1f}"
        print(row + f"{frames:>11.1f}" * options.frames)
    print(f"median ratio {statistics.median(b / a for a, b in pairs):.3f}")


if __name__ == "__main__":
    main()
