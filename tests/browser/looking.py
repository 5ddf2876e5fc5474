"""What a dashboard holds at a step, read from its page, inside a shadow root too; ``hosted.told`` is its match."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator

_ON_PAGE = """async (root, step) => {
    const table = root.querySelector("table.pv-table");
    const title = () => table.querySelector("caption").textContent;
    const set = (name, value, kind) => {
        const control = root.querySelector(`[data-testid=${name}]`);
        control.value = value;
        control.dispatchEvent(new Event(kind));
    };
    const until = async (isSo, what) => {
        const end = performance.now() + 90_000;
        while (!isSo()) {
            if (performance.now() > end) throw new Error(`${what} of step ${step} never came; shown: ${title()}`);
            // A view is drawn while it can be seen, and a table that got shorter may leave the window empty.
            table.scrollIntoView({ block: "nearest" });
            await new Promise((done) => requestAnimationFrame(done));
        }
    };
    const rows = async (kind) => {
        set("table-kind", kind, "change");
        await until(() => title().startsWith(`${kind} after`) && title().endsWith(` ${step}`), kind);
        const found = [...table.querySelectorAll("tbody tr")];
        return found.map((row) => [...row.children].map((cell) => cell.textContent));
    };
    set("scrubber", step, "input");
    const blocks = (await rows("blocks")).map(([tier, id]) => `${tier}:${id}`).sort();
    const computed = (await rows("sequences")).map((row) => Number(row[4]));
    return [Number(root.dataset.step), Number(root.dataset.nextSeq), blocks, computed];
}"""


def show_table(root: Locator) -> None:
    """Switch the table on from which ``seen_at`` reads."""
    switch = root.locator("[data-panel=table]")
    if switch.get_attribute("aria-pressed") == "false":
        switch.press("Enter")
    root.locator("table.pv-table caption").wait_for(state="attached")


def seen_at(root: Locator, step: int) -> list[Any]:
    """Scrub a dashboard to a step and read there what ``hosted.told`` says of it."""
    found: list[Any] = root.evaluate(_ON_PAGE, step)
    return found
