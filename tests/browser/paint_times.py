"""How long the block map takes to paint in Chromium, for 64 to 1 000 000 blocks, live, zoomed and moved.

    .venv/bin/python tests/browser/paint_times.py [--seconds 3] [blocks ...]

A page holds only the block map of a pool that is three quarters full. Medians, in milliseconds, of what an
animation frame of the dashboard costs:

* *live*: batches come 30 times a second;
* *zoom*: the map is zoomed in and out about its middle, *pan*: dragged at a zoom at which cells have marks.

*frames* is how many animation frames a second the page got meanwhile, live. Of an older
version of the dashboard, which cannot zoom, only *live* means something: ``--bundle FILE``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from chromium import launch
from playwright.sync_api import Page, sync_playwright

from pagedviz.browser.bundle import bundle, stylesheet
from pagedviz.events.codec import KINDS

# ruff: noqa: E501, T201 - JavaScript in a script
PAGE = """<!doctype html><meta charset=utf-8><style>:root{color-scheme:SCHEME}body{margin:0;width:620px}CSS</style><div id=here></div>
<script type=text/plain id=bundle>CODE</script>"""
MOUNT = """async ([count, fields]) => {
    const costs = [];
    window.costs = costs;
    const request = requestAnimationFrame.bind(window);
    window.untimed = request;
    window.frames = 0;
    request(function count() { window.frames += 1; request(count); });
    window.requestAnimationFrame = (callback) => request((at) => {
        const began = performance.now();
        callback(at);
        costs.push(performance.now() - began);
    });
    const size = 2, long = 100;
    const blocks = {}, sequences = {}, requests = {};
    for (let first = 0; first < count; first += long) {
        const id = first / long;
        const table = [];
        for (let block = first; block < Math.min(count, first + long); block++) {
            if ((block * 7919) % 1009 < 252) continue;
            const isCached = block % 61 === 5, isShared = block % 97 === 0 && id > 0 && !isCached;
            const holders = isCached ? [] : [[id, table.push(["device", block]) - 1]];
            if (isShared) holders.push([id - 1, sequences[id - 1].tables[0].push(["device", block]) - 1]);
            blocks[block] = {group: 0, holders, born: block % 1500, cached: isCached ? 1500 : -1, copied_from: -1, moved_from: -1, hash: isCached ? "h" + block : ""};
        }
        sequences[id] = {id, request: "r" + id, num_prompt: 1, status: "running", tables: {0: table}};
        requests["r" + id] = {name: "r" + id, sequences: [id], num_prompt: 1, max_tokens: 9, status: "running", reason: "", preemptions: 0};
    }
    for (const sequence of Object.values(sequences)) {
        const length = sequence.tables[0].length * size;
        Object.assign(sequence, {tokens: Array(length).fill(1), texts: Array(length).fill(""), computed: length - 1});
    }
    const engine = {model: "made up", block_size: size, num_device_blocks: count, num_host_blocks: 0, groups: [{layers: [0], window: null}], num_kv_heads: 1, head_dim: 1, dtype: "float32", device: "cpu", simulated: true, attention: "eager", bytes_per_block: 16, pagedviz: "0"};
    const keyframe = {block_size: size, num_blocks: {device: count}, step: 1500, seq: 0, t_us: 0, requests, sequences, blocks: {device: blocks}, counters: {}, scheduled: [], evicted: {}};
    const bytes = (...lines) => new DataView(new TextEncoder().encode(lines.map((line) => JSON.stringify(line) + "\\n").join("")).buffer);
    let listener = null, seq = 0, step = 1500, timer = 0;
    const status = () => ({state: "running", step, message: "", live: true, commands: 0});
    const port = {
        onMessage: (callback) => { listener = callback; return () => {}; },
        send: ({cmd, view}) => cmd === "hello" && queueMicrotask(() => listener({type: "snapshot", view, next_seq: 0, status: status()},
            [bytes({format: "pagedviz-trace", version: 2, fields, engine}, {keyframe})])),
    };
    window.batch = () => {
        const events = [["StepStarted", []], ["StepFinished", 1, 0, 0]];
        step += 1;
        const from = seq;
        seq += events.length;
        listener({type: "batch", seq: from, next_seq: seq, status: status()}, [bytes({seq: from, step, t_us: step * 1000, events})]);
    };
    window.play = (on) => { clearInterval(timer); if (on) timer = setInterval(window.batch, 33); };
    const module = await import(URL.createObjectURL(new Blob([document.getElementById("bundle").textContent], {type: "text/javascript"})));
    module.mount(document.getElementById("here"), port, {panels: ["block_map"]});
}"""
MEDIAN = """() => {
    const found = costs.splice(0).sort((a, b) => a - b);
    return found.length ? found[found.length >> 1] : NaN;
}"""
FRAMES = "new Promise((done) => untimed(() => untimed(done)))"


def median(page: Page) -> float:
    return page.evaluate(MEDIAN)


def measure(page: Page, seconds: float) -> dict[str, float]:
    """Medians of one page, in milliseconds."""
    page.wait_for_selector("canvas.pv-map", timeout=60_000)
    page.evaluate(FRAMES)
    median(page)
    page.evaluate("window.frames = 0, play(true)")
    page.wait_for_timeout(seconds * 1000)
    found = {"live": median(page), "frames": page.evaluate("window.frames") / seconds}
    page.evaluate("play(false)")
    if not page.locator(".pv-zoom").count():
        return found
    box = page.locator("canvas.pv-map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    median(page)
    for turn in [-60] * 12 + [60] * 12:
        page.mouse.wheel(0, turn)
        page.evaluate(FRAMES)
    found["zoom"] = median(page)
    for _ in range(60):
        page.mouse.wheel(0, -60)
        if "zoom in" not in page.locator(".pv-legend").inner_text():
            break
        page.evaluate(FRAMES)
    page.keyboard.up("Control")
    page.evaluate(FRAMES)
    page.mouse.down()
    median(page)
    for i in range(20):
        page.mouse.move(x - 6 * i, y - 4 * i)
        page.evaluate(FRAMES)
    found["pan"] = median(page)
    page.mouse.up()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blocks", nargs="*", type=int, default=[64, 4096, 131_072, 1_000_000])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--bundle", type=Path, help="another version of the dashboard")
    options = parser.parse_args()
    fields = {name: list(kind.__struct_fields__) for name, kind in KINDS.items()}
    code = options.bundle.read_text(encoding="utf-8") if options.bundle else bundle()
    page_text = (
        PAGE.replace("SCHEME", "light")
        .replace("CSS", stylesheet())
        .replace("CODE", code.replace("</script", "<\\/script"))
    )
    print("blocks      live ms  frames/s  zoom ms   pan ms")
    with sync_playwright() as p:
        browser = launch(p)
        for count in options.blocks or [64, 4096, 131_072, 1_000_000]:
            page = browser.new_page(viewport={"width": 700, "height": 600})
            page.set_default_timeout(120_000)
            page.set_content(page_text)
            page.evaluate(MOUNT, [count, fields])
            found = measure(page, options.seconds)
            print(
                f"{count:>9,}"
                + "".join(f"{found.get(name, float('nan')):>10.1f}" for name in ("live", "frames", "zoom", "pan")),
                flush=True,
            )
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
